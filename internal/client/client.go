// Package client is the one client of Oriel's HTTP API: commands use it to ask
// the server that owns the database, and scanners to read the window.
//
// A Client repeats no request. A response with an error status is an *Error;
// one that arrived whole and has no meaning is an ErrUnreadable, and asking for
// it again is of no use.
package client

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/google/uuid"

	"oriel/clair"
	"oriel/internal/api"
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
	// Proxy uses the proxy that the environment names.
	Proxy bool
	// UserAgent identifies the program to the server.
	UserAgent string
	// Transport replaces the connection, for tests. Default a new one by
	// CAFile, Certificate and Proxy.
	Transport http.RoundTripper
}

// Client sends requests to one server. It is safe for concurrent use; the
// caller closes it.
type Client struct {
	url       string
	token     string
	userAgent string
	http      *http.Client
}

// New returns a client. An address or file that cannot be used is an
// ErrInvalid.
func New(o Options) (*Client, error) {
	u, err := url.Parse(o.URL)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, clair.Invalid("server", "%.200q is not the http or https address of a server", o.URL)
	}
	if o.Transport == nil {
		if o.Transport, err = newTransport(o); err != nil {
			return nil, err
		}
	}
	return &Client{
		url:       strings.TrimSuffix(o.URL, "/"),
		token:     o.Token,
		userAgent: o.UserAgent,
		http: &http.Client{
			Transport: o.Transport,
			CheckRedirect: func(*http.Request, []*http.Request) error {
				return http.ErrUseLastResponse // a POST would become a GET, and the token would go elsewhere
			},
		},
	}, nil
}

func newTransport(o Options) (*http.Transport, error) {
	trust, err := trustedCertificates(o.CAFile, o.Certificate)
	if err != nil {
		return nil, err
	}
	t := &http.Transport{
		DialContext:         (&net.Dialer{Timeout: 10 * time.Second}).DialContext,
		TLSHandshakeTimeout: 10 * time.Second,
		TLSClientConfig:     trust,
		ForceAttemptHTTP2:   true,
		MaxIdleConnsPerHost: 16, // a scanner reads several lists at a time
		IdleConnTimeout:     90 * time.Second,
	}
	if o.Proxy {
		t.Proxy = http.ProxyFromEnvironment
	}
	return t, nil
}

// URL returns the server's address.
func (c *Client) URL() string { return c.url }

// Close closes idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Vacuum has the server collect garbage and return free space to the disk.
func (c *Client) Vacuum(ctx context.Context) (done api.Vacuumed, err error) {
	err = c.json(ctx, request{method: http.MethodPost, path: api.PathVacuum}, &done)
	return done, err
}

// Import has the server import an export and returns the outcome for each
// feed.
func (c *Client) Import(ctx context.Context, export io.Reader) ([]api.Imported, error) {
	var answer api.ImportedFeeds
	err := c.json(ctx, request{
		method: http.MethodPost,
		path:   api.PathBundle,
		body:   io.NopCloser(export),
	}, &answer)
	return answer.Feeds, err
}

// Redeliver has the server deliver a notification again, to all webhooks or to
// the named one.
func (c *Client) Redeliver(ctx context.Context, id uuid.UUID, webhook string) error {
	path := api.PathNotification + "/" + id.String() + "/redeliver?webhook=" + url.QueryEscape(webhook)
	return c.json(ctx, request{method: http.MethodPost, path: path}, nil)
}
