"""Directives of TLS, which is not there yet: none of them may promise what it does not keep."""

from __future__ import annotations

from node.config.directive import choice, flag, number, text

NO_TLS = "there is no TLS; keep the node in a trusted network, or behind a TLS proxy"

TLS = (
    number("tls-port", 0, "TLS port for clients; 0 listens on none.", hi=65535, reserved=NO_TLS),
    flag("tls-cluster", False, "Use TLS on the cluster bus.", reserved=NO_TLS),
    flag("tls-replication", False, "Use TLS between replicas and primaries.", reserved=NO_TLS),
    choice(
        "tls-auth-clients", "yes", "no yes optional", "Whether clients must present a certificate.", reserved=NO_TLS
    ),
    text("tls-cert-file", "", "Certificate of this server.", reserved=NO_TLS),
    text("tls-key-file", "", "Private key of this server.", reserved=NO_TLS),
    text("tls-key-file-pass", "", "Password of the private key.", reserved=NO_TLS),
    text("tls-client-cert-file", "", "Certificate for outgoing connections.", reserved=NO_TLS),
    text("tls-client-key-file", "", "Private key for outgoing connections.", reserved=NO_TLS),
    text("tls-client-key-file-pass", "", "Password of the private key for outgoing connections.", reserved=NO_TLS),
    text("tls-ca-cert-file", "", "Certificates of the authorities to trust.", reserved=NO_TLS),
    text("tls-ca-cert-dir", "", "Folder of certificates of the authorities to trust.", reserved=NO_TLS),
    text("tls-dh-params-file", "", "Parameters for Diffie-Hellman key exchange.", reserved=NO_TLS),
    text("tls-protocols", "", "Versions of TLS to accept.", reserved=NO_TLS),
    text("tls-ciphers", "", "Ciphers for TLS up to 1.2.", reserved=NO_TLS),
    text("tls-ciphersuites", "", "Cipher suites for TLS 1.3.", reserved=NO_TLS),
    flag("tls-prefer-server-ciphers", False, "Prefer this server's order of ciphers.", reserved=NO_TLS),
    flag("tls-session-caching", True, "Let clients resume TLS sessions.", reserved=NO_TLS),
    number("tls-session-cache-size", 20480, "TLS sessions to keep.", reserved=NO_TLS),
    number("tls-session-cache-timeout", 300, "Seconds for which a TLS session can be resumed.", reserved=NO_TLS),
)
