package client

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"

	"oriel/clair"
)

// trustedCertificates returns a TLS configuration that trusts the certificates
// of caFile, or only the very certificate in the file certificate, or the
// system's if neither is named.
func trustedCertificates(caFile, certificate string) (*tls.Config, error) {
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
