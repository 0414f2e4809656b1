"""Directives of TLS."""

from __future__ import annotations

from node.config.directive import choice, flag, number, text

TLS = (
    number("tls-port", 0, "TLS port for clients; 0 listens on none.", hi=65535),
    flag("tls-cluster", False, "Use TLS on the cluster bus."),
    flag("tls-replication", False, "Use TLS between replicas and primaries."),
    choice("tls-auth-clients", "yes", "no yes optional", "Whether clients must present a certificate."),
    text("tls-cert-file", "", "Certificate of this server."),
    text("tls-key-file", "", "Private key of this server."),
    text("tls-key-file-pass", "", "Password of the private key."),
    text("tls-client-cert-file", "", "Certificate for outgoing connections."),
    text("tls-client-key-file", "", "Private key for outgoing connections."),
    text("tls-client-key-file-pass", "", "Password of the private key for outgoing connections."),
    text("tls-ca-cert-file", "", "Certificates of the authorities to trust."),
    text("tls-ca-cert-dir", "", "Folder of certificates of the authorities to trust."),
    text("tls-dh-params-file", "", "Parameters for Diffie-Hellman key exchange."),
    text("tls-protocols", "", "Versions of TLS to accept."),
    text("tls-ciphers", "", "Ciphers for TLS up to 1.2."),
    text("tls-ciphersuites", "", "Cipher suites for TLS 1.3."),
    flag("tls-prefer-server-ciphers", False, "Prefer this server's order of ciphers."),
    flag("tls-session-caching", True, "Let clients resume TLS sessions."),
    number("tls-session-cache-size", 20480, "TLS sessions to keep."),
    number("tls-session-cache-timeout", 300, "Seconds for which a TLS session can be resumed."),
)
