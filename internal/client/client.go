// Package client is the one client of Oriel's HTTP API: commands use it to ask
// the server that owns the database, and scanners to read the window.
package client

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/google/uuid"

	"oriel/clair"
	"oriel/internal/api"
	"oriel/internal/sanitize"
)

// Options describe the server to talk to.
type Options struct {
	// URL is its http or https address.
	URL string
	// Token is the bearer token to send, "" for none.
	Token string
	// CAFile names a file with the certificates, as PEM, to trust; "" means
	// the system's.
	CAFile string
	// Certificate names a file with the very certificate that the server must
	// present, as the owner of a database announces it. CAFile wins.
	Certificate string
}

// Client sends requests to one server. It is safe for concurrent use; the
// caller closes it.
type Client struct {
	url   string
	token string
	http  *http.Client
}

// New returns a client. An address or file that cannot be used is an
// ErrInvalid.
func New(o Options) (*Client, error) {
	u, err := url.Parse(o.URL)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, clair.Invalid("server", "%q is not the http or https address of a server", o.URL)
	}
	trust, err := TrustCertificates(o.CAFile, o.Certificate)
	if err != nil {
		return nil, err
	}
	return &Client{url: strings.TrimSuffix(o.URL, "/"), token: o.Token, http: &http.Client{
		Transport: &http.Transport{
			DialContext: (&net.Dialer{Timeout: 10 * time.Second}).DialContext, TLSHandshakeTimeout: 10 * time.Second, TLSClientConfig: trust,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error {
			return http.ErrUseLastResponse // a POST would become a GET, and the token would go elsewhere
		},
	}}, nil
}

// TrustCertificates returns a TLS configuration that trusts the certificates
// of caFile, or only the very certificate in the file certificate, or the
// system's if neither is named.
func TrustCertificates(caFile, certificate string) (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	switch {
	case caFile != "":
		text, err := os.ReadFile(caFile)
		if err != nil {
			return nil, fmt.Errorf("%w: read the certificates: %w", clair.ErrInvalid, err)
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(text) {
			return nil, clair.Invalid("ca-file", "%s holds no certificate", caFile)
		}
	case certificate != "":
		text, err := os.ReadFile(certificate)
		if err != nil {
			return nil, fmt.Errorf("read the server's certificate: %w", err)
		}
		block, _ := pem.Decode(text)
		if block == nil {
			return nil, clair.Invalid("tls.cert", "%s holds no certificate", certificate)
		}
		// Accept this very certificate and no other, so that it need not name
		// this machine nor be signed by anybody.
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

// URL returns the server's address.
func (c *Client) URL() string { return c.url }

// Close closes idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Vacuum has the server collect garbage and return free space to the disk.
func (c *Client) Vacuum(ctx context.Context) (done api.Vacuumed, err error) {
	err = c.send(ctx, http.MethodPost, api.PathVacuum, nil, &done)
	return done, err
}

// Import has the server import an export and returns how each feed went.
func (c *Client) Import(ctx context.Context, export io.Reader) ([]api.Imported, error) {
	var answer api.ImportedFeeds
	err := c.send(ctx, http.MethodPost, api.PathBundle, io.NopCloser(export), &answer)
	return answer.Feeds, err
}

// Redeliver has the server deliver a notification again, to all webhooks or to
// the named one.
func (c *Client) Redeliver(ctx context.Context, id uuid.UUID, webhook string) error {
	path := api.PathNotification + "/" + id.String() + "/redeliver?webhook=" + url.QueryEscape(webhook)
	return c.send(ctx, http.MethodPost, path, nil, nil)
}

// maxAnswer bounds the bytes that are read of an answer: ten thousands of
// feeds.
const maxAnswer = 64 << 20

// send makes a request and decodes the JSON of its answer, unless into is nil.
// A refusal is an error with the server's message.
func (c *Client) send(ctx context.Context, method, path string, content io.Reader, into any) error {
	req, err := http.NewRequestWithContext(ctx, method, c.url+path, content)
	if err != nil {
		return fmt.Errorf("ask the server: %w", err)
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	res, err := c.http.Do(req)
	if err != nil {
		return fmt.Errorf("ask the server: %w", err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("ask the server at %s: %w", c.url, err)
	}
	if res.StatusCode/100 != 2 {
		return fmt.Errorf("the server at %s refuses: %w", c.url, refusal(res.StatusCode, body))
	}
	if into == nil {
		return nil
	}
	if err := json.Unmarshal(body, into); err != nil {
		return fmt.Errorf("decode the answer of the server at %s to %s: %w", c.url, path, err)
	}
	return nil
}

// refusal turns an error's answer back into the error.
func refusal(status int, body []byte) error {
	var answer struct {
		Message string `json:"message"`
	}
	if json.Unmarshal(body, &answer) != nil || answer.Message == "" {
		answer.Message = http.StatusText(status)
	}
	text := sanitize.Text(answer.Message)
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
