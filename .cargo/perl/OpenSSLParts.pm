# Leaves out of OpenSSL what neither a session cookie nor TLS to a database needs: a third of the addon's size. The crate that
# builds OpenSSL takes no such list, so Perl loads this before each script (PERL5OPT in ../config.toml), and it adds to the
# arguments of OpenSSL's Configure.
#
# What stays: TLS 1.2 and 1.3 with all their key exchanges and certificates, AES, ChaCha20, SHA-2, SHA-3, HKDF, PBKDF2 and
# scrypt, DES for encrypted client keys, and all assembler.
package OpenSSLParts;

use strict;
use warnings;

my @left_out = (
    qw(dtls quic nextprotoneg psk srp srtp ssl-trace), # other protocols than TLS, and extensions that PostgreSQL has not
    qw(cmp cms ct http ocsp rfc3779 ts),               # formats of mail, timestamps and authorities
    qw(aria bf cast gost ocb rc2 rc4 siv sm4),         # ciphers of no TLS suite that is on by default
    qw(blake2 md4 mdc2 rmd160 siphash sm2 sm3 whirlpool), # likewise, hashes
    qw(dsa ec2m lms slh-dsa),                          # signatures and curves of no certificate on the web
    qw(engine filenames legacy multiblock ui-console),
    qw(autoload-config), # OPENSSL_CONF is meant for the OpenSSL of Node, and could take this one's algorithms away
);

# OpenSSL looks for modules below the folder that it was built in: one that on another machine anybody might make.
my @folders = (
    q(-DENGINESDIR="\"/usr/local/ssl/engines\""),
    q(-DMODULESDIR="\"/usr/local/ssl/modules\""),
);
@folders = () if $^O eq 'MSWin32'; # whose make quotes in another way

# The command that compiled it, with the path of the compiler, would stand in the binary, too.
$ARGV[0] = 'cc' if $0 =~ /\bmkbuildinf\.pl$/;

push @ARGV, (map { "no-$_" } @left_out), @folders if $0 =~ /\bConfigure$/;

1;
