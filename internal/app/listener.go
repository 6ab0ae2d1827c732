package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"

	"oriel/server"
)

// listener is where the daemon meets its clients: the listener, who may come in,
// and the certificate it shows them.
type listener struct {
	net.Listener
	auth        *server.Auth
	certificate *server.Certificate
	// url is where it listens, and local how this machine reaches it.
	url, local string
	// loopback says that only this machine reaches the listener.
	loopback bool
}

// listen reads what secrets and certificates there are, and listens last, so
// that nothing listens if it fails. The server closes the listener.
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
		log.WarnContext(ctx, "whoever reaches this address may do everything", "listen", cfg.Listen)
	case !f.loopback && f.certificate == nil:
		log.WarnContext(ctx, "tokens come in cleartext; set [tls] or put a proxy with TLS in front", "listen", cfg.Listen)
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
// names; both results are nil where it names none.
func ReadSecrets(cfg *Config, log *slog.Logger) (*server.Auth, *server.Certificate, error) {
	auth, err := server.NewAuth(cfg.Auth, nil)
	if err != nil {
		return nil, nil, err
	}
	certificate, err := server.LoadCertificate(cfg.TLS, log, nil)
	return auth, certificate, err
}

// What an open connection takes, in bytes: its buffers, goroutine and, with
// TLS, its records. Measured with 1,500 of them.
const (
	plainConnection = 24 << 10
	tlsConnection   = 48 << 10
)

// limits are the limits of the configuration, with what it leaves to the
// memory there is.
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

// localURL is where this machine reaches a listener.
func localURL(scheme string, a net.Addr) string {
	host, port, err := net.SplitHostPort(a.String())
	if err != nil {
		return scheme + "://" + a.String()
	}
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1" // every address is, among them this
		if ip.To4() == nil {
			host = "::1"
		}
	}
	return scheme + "://" + net.JoinHostPort(host, port)
}
