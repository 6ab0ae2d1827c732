package main

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"oriel/clair"
	"oriel/store"
)

// serverFlags say how a command reaches a running server.
type serverFlags struct {
	server, tokenFile, caFile string
}

// tokenVariable holds the token where no file is named. It is no key of the
// configuration.
const tokenVariable = envPrefix + "TOKEN"

// add registers the flags; standard is the server's address where none is
// given.
func (f *serverFlags) add(flags *pflag.FlagSet, standard, which string) {
	flags.StringVar(&f.server, "server", standard, which)
	flags.StringVar(&f.tokenFile, "token-file", "", "file with the bearer token to send to it (default: the variable "+tokenVariable+")")
	flags.StringVar(&f.caFile, "ca-file", "", "file with the certificates, as PEM, to trust it by (default: the system's)")
}

// addOwner registers the flags of a command for the server that owns the
// database.
func (f *serverFlags) addOwner(cmd *cobra.Command) {
	f.add(cmd.Flags(), "", "address of a running server to ask (default: the one that owns the database, if any)")
}

// token is the token that is named, "" where none is.
func (f *serverFlags) token() (string, error) {
	if f.tokenFile == "" {
		return os.Getenv(tokenVariable), nil
	}
	text, err := os.ReadFile(f.tokenFile)
	if err != nil {
		return "", usageError{fmt.Errorf("read the token: %w", err)}
	}
	return strings.TrimSpace(string(text)), nil
}

// daemon is a running server, as commands ask it to work on the database that
// it owns. The caller closes it.
type daemon struct {
	url    string
	token  string
	client *http.Client
}

// openOrAsk opens the database to own it, or finds the server to ask in its
// place: the one that is named, or the one that owns the database. Exactly one
// of the two is returned, for the caller to close.
func openOrAsk(ctx context.Context, cfg *Config, log *slog.Logger, f serverFlags, b budget) (*store.DB, *daemon, error) {
	if f.server != "" {
		d, err := newDaemon(store.Owner{URL: f.server}, f)
		return nil, d, err
	}
	db, err := store.Open(ctx, cfg.Store.Path, storeOptions(cfg, b, log))
	if !errors.Is(err, clair.ErrConflict) {
		return db, nil, err
	}
	owner, oerr := store.ReadOwner(cfg.Store.Path)
	if errors.Is(oerr, clair.ErrNotFound) {
		return nil, nil, err // a command owns it, which is nobody to ask
	}
	if oerr != nil {
		return nil, nil, errors.Join(err, oerr)
	}
	d, err := newDaemon(owner, f)
	return nil, d, err
}

func newDaemon(o store.Owner, f serverFlags) (*daemon, error) {
	u, err := url.Parse(o.URL)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, usageError{clair.Invalid("server", "%q is not the http or https address of a server", o.URL)}
	}
	token, err := f.token()
	if err != nil {
		return nil, err
	}
	d := &daemon{url: strings.TrimSuffix(o.URL, "/"), token: cmp.Or(token, o.Token)}
	trust, err := f.trust(o)
	if err != nil {
		return nil, err
	}
	d.client = &http.Client{
		Transport: &http.Transport{
			DialContext: (&net.Dialer{Timeout: 10 * time.Second}).DialContext, TLSHandshakeTimeout: 10 * time.Second, TLSClientConfig: trust,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error {
			return http.ErrUseLastResponse // a POST would become a GET, and the token go elsewhere
		},
	}
	return d, nil
}

// trust says by what a server is known: certificates that are named, the one
// that it announced beside the database, or those of the system.
func (f *serverFlags) trust(o store.Owner) (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	switch {
	case f.caFile != "":
		text, err := os.ReadFile(f.caFile)
		if err != nil {
			return nil, usageError{fmt.Errorf("read the certificates: %w", err)}
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(text) {
			return nil, usageError{clair.Invalid("ca-file", "%s holds no certificate", f.caFile)}
		}
	case o.Certificate != "":
		text, err := os.ReadFile(o.Certificate)
		if err != nil {
			return nil, fmt.Errorf("read the server's certificate: %w", err)
		}
		block, _ := pem.Decode(text)
		if block == nil {
			return nil, clair.Invalid("tls.cert", "%s holds no certificate", o.Certificate)
		}
		// This very certificate and no other, so that it need not be in the
		// name of this machine, nor of anybody's making.
		c.InsecureSkipVerify = true
		c.VerifyConnection = func(s tls.ConnectionState) error {
			if len(s.PeerCertificates) == 0 || !bytes.Equal(s.PeerCertificates[0].Raw, block.Bytes) {
				return errors.New("the certificate is not the one of the server that owns the database")
			}
			return nil
		}
	}
	return c, nil
}

// Close lets go of connections.
func (d *daemon) Close() { d.client.CloseIdleConnections() }

// maxAnswer bounds what is read of an answer: feeds by the ten thousand.
const maxAnswer = 64 << 20

// call makes a request without a body; see send.
func (d *daemon) call(ctx context.Context, method, path string, into any) error {
	return d.send(ctx, method, path, nil, into)
}

// send makes a request and reads the JSON it is answered with, unless into is
// nil. What the server refuses is an error that says so in its words.
func (d *daemon) send(ctx context.Context, method, path string, content io.Reader, into any) error {
	req, err := http.NewRequestWithContext(ctx, method, d.url+path, content)
	if err != nil {
		return fmt.Errorf("ask the server: %w", err)
	}
	if d.token != "" {
		req.Header.Set("Authorization", "Bearer "+d.token)
	}
	res, err := d.client.Do(req)
	if err != nil {
		return fmt.Errorf("ask the server: %w", err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("ask the server at %s: %w", d.url, err)
	}
	if res.StatusCode/100 != 2 {
		return fmt.Errorf("the server at %s refuses: %w", d.url, refusal(res.StatusCode, body))
	}
	if into == nil {
		return nil
	}
	if err := json.Unmarshal(body, into); err != nil {
		return fmt.Errorf("the answer of the server at %s to %s: %w", d.url, path, err)
	}
	return nil
}

// refusal turns an error's answer back into the error.
func refusal(status int, body []byte) error {
	var said struct {
		Message string `json:"message"`
	}
	if json.Unmarshal(body, &said) != nil || said.Message == "" {
		said.Message = http.StatusText(status)
	}
	text := plain(said.Message)
	switch status {
	case http.StatusUnauthorized, http.StatusForbidden:
		return fmt.Errorf("%s: name a token of an administrator with --token-file", text)
	case http.StatusNotFound:
		return fmt.Errorf("%w: %s", clair.ErrNotFound, text)
	case http.StatusConflict:
		return fmt.Errorf("%w: %s", clair.ErrConflict, text)
	}
	return errors.New(text)
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
