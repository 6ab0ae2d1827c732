package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"

	"oriel/server"
)

// listener is the daemon's listener with the authentication and the certificate
// that go with it.
type listener struct {
	net.Listener
	auth        *server.Auth
	certificate *server.Certificate
	// url is its address, and local the address for clients on this machine.
	url, local string
	// loopback reports whether only this machine can reach it.
	loopback bool
}

// listen reads the secrets and certificates, and listens last, so that nothing
// listens if it fails. The server closes the listener.
func listen(ctx context.Context, cfg *Config, log *slog.Logger) (*listener, error) {
	f, scheme := &listener{}, "http"
	var err error
	if f.auth, f.certificate, err = ReadSecrets(cfg, log); err != nil {
		return nil, err
	}
	if f.Listener, err = (&net.ListenConfig{}).Listen(ctx, "tcp", cfg.Listen); err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	if f.certificate != nil {
		scheme = "https"
	}
	f.url = scheme + "://" + f.Listener.Addr().String()
	f.local = localURL(scheme, f.Listener.Addr())
	addr, ok := f.Listener.Addr().(*net.TCPAddr)
	f.loopback = ok && addr.IP.IsLoopback()
	switch {
	case !f.loopback && f.auth == nil:
		log.WarnContext(ctx, "no authentication: every client may do everything", "listen", cfg.Listen)
	case !f.loopback && f.certificate == nil:
		log.WarnContext(ctx, "tokens are sent in cleartext; set [tls] or use a proxy with TLS", "listen", cfg.Listen)
	}
	return f, nil
}

// close closes the listener, which a server that ran has closed already.
func (l *listener) close() error {
	if err := l.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
		return fmt.Errorf("close the listener: %w", err)
	}
	return nil
}

// ReadSecrets reads the keys, tokens and certificates that a configuration
// names; a result is nil if none are named.
func ReadSecrets(cfg *Config, log *slog.Logger) (*server.Auth, *server.Certificate, error) {
	auth, err := server.NewAuth(cfg.Auth, nil)
	if err != nil {
		return nil, nil, err
	}
	certificate, err := server.LoadCertificate(cfg.TLS, log, nil)
	return auth, certificate, err
}

// The memory of an open connection, in bytes: its buffers, goroutine and, with
// TLS, its records. Measured with 1,500 connections.
const (
	plainConnection = 24 << 10
	tlsConnection   = 48 << 10
)

// limits returns the limits of the configuration. Those that it leaves open
// follow from the memory.
func limits(cfg *Config, b Budget) server.Limits {
	l := cfg.Limits
	if l.Connections == 0 {
		each := int64(plainConnection)
		if cfg.TLS.Enabled() {
			each = tlsConnection
		}
		l.Connections = int(max(1, b.Connections/each))
	}
	return l
}

// localURL returns the URL of a listener for clients on this machine.
func localURL(scheme string, a net.Addr) string {
	host, port, err := net.SplitHostPort(a.String())
	if err != nil {
		return scheme + "://" + a.String()
	}
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1" // it listens on every address, among them this one
		if ip.To4() == nil {
			host = "::1"
		}
	}
	return scheme + "://" + net.JoinHostPort(host, port)
}
