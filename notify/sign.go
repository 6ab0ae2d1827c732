package notify

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// The headers of Standard Webhooks (standardwebhooks.com, specification 1.0),
// in the form in which net/http keeps them.
const (
	headerID        = "Webhook-Id"
	headerTime      = "Webhook-Timestamp"
	headerSignature = "Webhook-Signature"
)

// minSecret is the least length of a secret in bytes. The specification
// requires 24 to 64 of secrets that a sender makes, not of those it is given.
const minSecret = 16

// signer signs deliveries; a nil signer signs none.
type signer struct{ key []byte }

// newSigner reads a secret. It returns nil for "".
func newSigner(secret string) (*signer, error) {
	if secret == "" {
		return nil, nil
	}
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
	if err != nil {
		return nil, fmt.Errorf("must be whsec_ and base64")
	}
	if len(key) < minSecret {
		return nil, fmt.Errorf("is %d bytes long: must be %d at least", len(key), minSecret)
	}
	return &signer{key}, nil
}

// sign adds the headers by which the receiver recognizes the message, its time
// and its sender.
func (s *signer) sign(h http.Header, id string, now time.Time, body []byte) {
	if s == nil {
		return
	}
	seconds := strconv.FormatInt(now.Unix(), 10)
	mac := hmac.New(sha256.New, s.key)
	mac.Write([]byte(id + "." + seconds + "."))
	mac.Write(body)
	h.Set(headerID, id)
	h.Set(headerTime, seconds)
	h.Set(headerSignature, "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
}
