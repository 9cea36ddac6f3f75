//! Measures the part of a session check before the database: cookie, token, claims, body.
//!
//!   cargo run --release -p authjs-bridge-benchmark -- read [option ...]
//!
//! Without an option it prints medians in ns, also of the cryptographic primitives alone. For callgrind, `--count=1000` reads a
//! session 1000 times; with `--header=FILE` the header in FILE, with `--secrets=3` with three secrets, and with `--refresh=1` it
//! refreshes the session.

use std::cell::RefCell;
use std::hint::black_box;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use authjs_bridge::bridge::{Attempt, Bridge, Intent};
use authjs_bridge::claims::SessionReader;
use authjs_bridge::config::{Config, Environment, Options};
use authjs_bridge::cookie::CookieName;
use authjs_bridge::crypto::{ContentEncryption, Issuer, Keyring, Secret, derive};
use authjs_bridge::lookups::{Answer, Responder};
use authjs_bridge::postgres::SharedPostgres;
use authjs_bridge::schema::{IdType, IdTypes, Schema};
use authjs_bridge::sensitive::Sensitive;
use authjs_bridge::token;
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64URL;
use openssl::cipher::Cipher;
use openssl::cipher_ctx::CipherCtx;
use openssl::sha::Sha512;
use openssl::symm;

use crate::argument;

const NAME: &str = "authjs.session-token";
const SECRET: &str = "the secret of the benchmark, so so long";
const NOW: u64 = 1_700_000_000;
const ROUNDS: usize = 25;
const CALLS: u32 = 2000;

pub fn main() {
    let count = argument("count").map(|count| count.parse().expect("a number"));
    if let Some((count, file)) = count.zip(argument("header")) {
        return read_header(count, &std::fs::read_to_string(file).expect("a header"));
    }
    let name = CookieName::new(NAME).expect("a name");
    let secret = Secret::new(SECRET.to_owned()).expect("a secret");
    let key = derive(&secret, &name, Issuer::AuthJs, ContentEncryption::A256CbcHs512).expect("derives");
    let keyring = Keyring::new(&[secret], &name, Issuer::AuthJs).expect("derives");
    let sealed = Sealed::new(&keyring, &key, "", claims().as_bytes());
    let with_typ = Sealed::new(&keyring, &key, r#""typ":"JWT","#, claims().as_bytes());
    let header = format!("theme=dark; {NAME}={}; csrf=1", sealed.token);

    let sessions = SessionReader::new(Schema::new(None));
    let types = IdTypes { tenant: Some(IdType::Uuid), session_id: IdType::Uuid, user_id: IdType::Uuid };
    let read = || {
        let cookie = black_box(&name).find(black_box(&header)).expect("a cookie");
        let token = cookie.readings().next().expect("a reading").token.expect("a token");
        let opened = token::open(&token, &keyring).expect("opens");
        sessions.read(&opened.plaintext, NOW, &types).expect("a session")
    };
    assert!(read().body.render(None).contains("ada@example.com"));

    if let Some(count) = count {
        return repeat(count, read);
    }
    let plaintext = token::open(&sealed.token, &keyring).expect("opens").plaintext;
    println!(
        "token of {} bytes, claims of {} bytes, body of {}",
        sealed.token.len(),
        plaintext.len(),
        read().body.render(None).len()
    );
    let steps: [(&str, &mut dyn FnMut()); 10] = [
        ("HMAC-SHA512", &mut || _ = black_box(sealed.mac())),
        ("AES-256-CBC", &mut || _ = black_box(sealed.decrypt())),
        ("base64url", &mut || _ = black_box(BASE64URL.decode(black_box(sealed.ciphertext_text())))),
        ("AES-256-CBC, encrypting", &mut || _ = black_box(sealed.encrypt(&plaintext))),
        ("token::seal", &mut || _ = black_box(token::seal(black_box(&plaintext), &keyring, 0))),
        ("token::open", &mut || _ = black_box(token::open(black_box(&sealed.token), &keyring))),
        ("token::open, josekit", &mut || _ = black_box(token::open(black_box(&with_typ.token), &keyring))),
        ("cookie", &mut || _ = black_box(name.find(black_box(&header)))),
        ("claims and body", &mut || _ = black_box(sessions.read(black_box(&plaintext), NOW, &types))),
        ("all: cookie to body", &mut || _ = black_box(read())),
    ];
    let medians = interleaved(steps);
    let primitives = medians[0].1 + medians[1].1;
    for (step, median) in &medians {
        println!("{step:>24} {median:>8.0} ns");
    }
    println!("token::open takes {:.2} times as long as HMAC and AES", medians[5].1 / primitives);
    let sealing = medians[0].1 + medians[3].1;
    println!("token::seal takes {:.2} times as long as HMAC and AES, encrypting", medians[4].1 / sealing);
}

#[inline(never)]
fn repeat<T>(count: u32, read: impl Fn() -> T) {
    for _ in 0..count {
        black_box(read());
    }
}

/// Reads the header with a bridge whose last secret is the right one.
fn read_header(count: u32, header: &str) {
    let secrets = argument("secrets").map_or(1, |secrets| secrets.parse().expect("a number"));
    let others = (1..secrets).map(|number| format!("{SECRET}, number {number}"));
    let options = Options {
        secret: Some(others.chain([SECRET.to_owned()]).map(Sensitive::from).collect()),
        secure_cookie: Some(false),
        database_url: Some("postgres://localhost/nowhere".to_owned().into()),
        ..Options::default()
    };
    let config = Config::new(options, &Nothing).expect("configures");
    let postgres = SharedPostgres::new(&config.database, &config.limits, &Nothing).expect("connects to nothing yet");
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let bridge = Bridge::new(config, postgres, Nothing, runtime.handle().clone()).expect("a bridge");
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a time").as_secs();
    match argument("refresh") {
        Some(_) => repeat(count, || bridge.refresh(black_box(header).to_owned(), now, Intent::Roll, Attempt::First)),
        None => repeat(count, || bridge.read(black_box(header), now)),
    }
}

/// An empty environment, and a responder without calls.
struct Nothing;

impl Environment for Nothing {
    fn value(&self, _name: &str) -> Option<Sensitive> {
        None
    }
}

impl Responder for Nothing {
    type Call = ();

    fn respond(&self, _answers: Vec<((), Answer)>) {}
}

/// The median time of each step in ns. Each round runs all steps, so that noise affects all of them.
fn interleaved<const N: usize>(mut steps: [(&'static str, &mut dyn FnMut()); N]) -> Vec<(&'static str, f64)> {
    let mut times = vec![Vec::new(); N];
    for _ in 0..ROUNDS {
        for ((_, step), times) in steps.iter_mut().zip(&mut times) {
            let start = Instant::now();
            for _ in 0..CALLS {
                step();
            }
            times.push(start.elapsed().as_secs_f64() * 1e9 / f64::from(CALLS));
        }
    }
    let median = |mut times: Vec<f64>| {
        times.sort_by(f64::total_cmp);
        times[ROUNDS / 2]
    };
    steps.iter().map(|(name, _)| *name).zip(times.into_iter().map(median)).collect()
}

/// Claims of a typical size.
fn claims() -> String {
    let id = |last: u32| format!("00000000-0000-4000-8000-{last:012}");
    format!(
        r#"{{"sub":"{0}","id":"{0}","email":"ada@example.com","name":"Ada","tenant":"{1}","user_type":"internal","#,
        id(1),
        id(2)
    ) + &format!(
        r#""session_id":"{}","login_method":"credentials","tenantSlug":"acme","plan":"enterprise","addons":["backup"],"#,
        id(3)
    ) + &format!(r#""proToken":"{}","iat":1700000000,"exp":1800000000,"jti":"{}"}}"#, "p".repeat(280), id(4))
}

/// A token as Auth.js writes it, and the two primitives that decrypting it needs at least, initialised.
struct Sealed {
    token: String,
    aad: String,
    iv: [u8; 16],
    ciphertext: Vec<u8>,
    /// The inner and outer hash of HMAC-SHA512, with the padded key already hashed.
    keyed: [Sha512; 2],
    aes: RefCell<CipherCtx>,
    encrypting: RefCell<CipherCtx>,
}

impl Sealed {
    /// `more` is added to the header that Auth.js writes; the token with it is decrypted by josekit.
    fn new(keyring: &Keyring, bytes: &[u8], more: &str, plaintext: &[u8]) -> Self {
        let (_, key) = keyring.candidates(ContentEncryption::A256CbcHs512, None).next().expect("a key");
        let (mac_key, encryption_key) = bytes.split_at(32);
        let header = format!(r#"{{{more}"alg":"dir","enc":"A256CBC-HS512","kid":"{}"}}"#, key.kid());
        let iv = [7; 16];
        let ciphertext = symm::encrypt(symm::Cipher::aes_256_cbc(), encryption_key, Some(&iv), plaintext);
        let keyed = [0x36, 0x5c].map(|pad| {
            let mut block = [pad; 128];
            block.iter_mut().zip(mac_key).for_each(|(byte, key)| *byte ^= key);
            let mut hash = Sha512::new();
            hash.update(&block);
            hash
        });
        let mut aes = CipherCtx::new().expect("a context");
        aes.decrypt_init(Some(Cipher::aes_256_cbc()), Some(encryption_key), None).expect("sets up");
        let mut encrypting = CipherCtx::new().expect("a context");
        encrypting.encrypt_init(Some(Cipher::aes_256_cbc()), Some(encryption_key), None).expect("sets up");
        let mut sealed = Self {
            token: String::new(),
            aad: BASE64URL.encode(header),
            iv,
            ciphertext: ciphertext.expect("encrypts"),
            keyed,
            aes: RefCell::new(aes),
            encrypting: RefCell::new(encrypting),
        };
        let parts = [&sealed.iv[..], &sealed.ciphertext, &sealed.mac()[..32]].map(|part| BASE64URL.encode(part));
        sealed.token = format!("{}..{}", sealed.aad, parts.join("."));
        sealed
    }

    fn ciphertext_text(&self) -> &str {
        self.token.split('.').nth(3).expect("five parts")
    }

    fn mac(&self) -> [u8; 64] {
        let [mut inner, mut outer] = self.keyed.clone();
        let bits = (self.aad.len() as u64 * 8).to_be_bytes();
        for part in [self.aad.as_bytes(), &self.iv, &self.ciphertext, &bits] {
            inner.update(part);
        }
        outer.update(&inner.finish());
        outer.finish()
    }

    fn decrypt(&self) -> Vec<u8> {
        let mut aes = self.aes.borrow_mut();
        aes.decrypt_init(None, None, Some(&self.iv)).expect("sets up");
        let mut plaintext = Vec::with_capacity(self.ciphertext.len() + self.iv.len());
        aes.cipher_update_vec(&self.ciphertext, &mut plaintext).expect("decrypts");
        aes.cipher_final_vec(&mut plaintext).expect("decrypts");
        plaintext
    }

    fn encrypt(&self, plaintext: &[u8]) -> Vec<u8> {
        let mut aes = self.encrypting.borrow_mut();
        aes.encrypt_init(None, None, Some(&self.iv)).expect("sets up");
        let mut ciphertext = Vec::with_capacity(plaintext.len() + self.iv.len());
        aes.cipher_update_vec(plaintext, &mut ciphertext).expect("encrypts");
        aes.cipher_final_vec(&mut ciphertext).expect("encrypts");
        ciphertext
    }
}
