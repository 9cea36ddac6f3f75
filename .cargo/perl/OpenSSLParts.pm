# Builds OpenSSL without the parts that neither a session cookie nor TLS to a database needs, which makes the addon a third
# smaller. The crate that builds OpenSSL has no option for this. So Perl loads this module before each script (PERL5OPT in
# ../config.toml), and the module adds arguments to OpenSSL's Configure.
#
# Still included: TLS 1.2 and 1.3 with all their key exchanges and certificates, AES, ChaCha20, SHA-2, SHA-3, HKDF, PBKDF2 and
# scrypt, DES for encrypted client keys, and all assembly code.
package OpenSSLParts;

use strict;
use warnings;

my @left_out = (
    qw(dtls quic nextprotoneg psk srp srtp ssl-trace), # protocols other than TLS, and extensions that PostgreSQL lacks
    qw(cmp cms ct http ocsp rfc3779 ts),               # formats of mail, timestamps and certificate authorities
    qw(aria bf cast gost ocb rc2 rc4 siv sm4),         # ciphers that no default TLS suite uses
    qw(blake2 md4 mdc2 rmd160 siphash sm2 sm3 whirlpool), # hashes that no default TLS suite uses
    qw(dsa ec2m lms slh-dsa),                          # signatures and curves that no web certificate uses
    qw(engine filenames legacy multiblock ui-console),
    qw(autoload-config), # OPENSSL_CONF is meant for the OpenSSL of Node.js, and could disable algorithms of this one
);

# By default OpenSSL loads modules from below the folder that it was built in. On another machine anybody might be able to
# create that folder.
my @folders = (
    q(-DENGINESDIR="\"/usr/local/ssl/engines\""),
    q(-DMODULESDIR="\"/usr/local/ssl/modules\""),
);
@folders = () if $^O eq 'MSWin32'; # make quotes differently there

# The binary contains the command that compiled it. Keep the path of the compiler out of it.
$ARGV[0] = 'cc' if $0 =~ /\bmkbuildinf\.pl$/;

# The linkers of Windows also want what is never called, and the crate `openssl` has functions for DSA.
@left_out = grep { $_ ne 'dsa' } @left_out if grep { /^(mingw|VC-)/ } @ARGV;

push @ARGV, (map { "no-$_" } @left_out), @folders if $0 =~ /\bConfigure$/;

1;
