package psk_test

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/require"

	"oriel/clair"
	"oriel/internal/psk"
)

const secret = "this is the secret"

var now = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)

func key(t *testing.T) psk.Key {
	t.Helper()
	k, err := psk.ParseKey(base64.StdEncoding.EncodeToString([]byte(secret)) + "\n")
	require.NoError(t, err)
	return k
}

func TestKey_Sign(t *testing.T) {
	token, err := key(t).SignWebhook(now)
	require.NoError(t, err)
	var claims jwt.MapClaims
	parsed, _, err := jwt.NewParser().ParseUnverified(token, &claims)
	require.NoError(t, err)
	require.Equal(t, "HS256", parsed.Header["alg"])
	at := float64(now.Unix())
	require.Equal(t, jwt.MapClaims{"iss": "clair-notifier", "iat": at, "nbf": at - 60, "exp": at + 60}, claims)
	require.NoError(t, key(t).Verify(token, now, []string{"clair-notifier"}))
	require.Error(t, key(t).Verify(token, now, []string{"clair-intraservice"}))
}

func TestKey_Verify(t *testing.T) {
	in := func(d time.Duration) *jwt.NumericDate { return jwt.NewNumericDate(now.Add(d)) }
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	for name, c := range map[string]struct {
		method jwt.SigningMethod
		key    any
		claims jwt.RegisteredClaims
		ok     bool
	}{
		"hs256":       {jwt.SigningMethodHS256, []byte(secret), jwt.RegisteredClaims{Issuer: "quay"}, true},
		"hs384":       {jwt.SigningMethodHS384, []byte(secret), jwt.RegisteredClaims{Issuer: "quay"}, true},
		"hs512":       {jwt.SigningMethodHS512, []byte(secret), jwt.RegisteredClaims{Issuer: "quay"}, true},
		"audience":    {jwt.SigningMethodHS256, []byte(secret), jwt.RegisteredClaims{Issuer: "quay", Audience: []string{"x"}, Subject: "y", ID: "z"}, true},
		"issuer":      {jwt.SigningMethodHS256, []byte(secret), jwt.RegisteredClaims{Issuer: "harbor"}, false},
		"no_issuer":   {jwt.SigningMethodHS256, []byte(secret), jwt.RegisteredClaims{}, false},
		"other_key":   {jwt.SigningMethodHS256, []byte("another"), jwt.RegisteredClaims{Issuer: "quay"}, false},
		"none":        {jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, jwt.RegisteredClaims{Issuer: "quay"}, false},
		"rsa":         {jwt.SigningMethodRS256, rsaKey, jwt.RegisteredClaims{Issuer: "quay"}, false},
		"exp_leeway":  {jwt.SigningMethodHS256, []byte(secret), jwt.RegisteredClaims{Issuer: "quay", ExpiresAt: in(-10 * time.Second)}, true},
		"expired":     {jwt.SigningMethodHS256, []byte(secret), jwt.RegisteredClaims{Issuer: "quay", ExpiresAt: in(-20 * time.Second)}, false},
		"nbf_leeway":  {jwt.SigningMethodHS256, []byte(secret), jwt.RegisteredClaims{Issuer: "quay", NotBefore: in(10 * time.Second)}, true},
		"nbf_future":  {jwt.SigningMethodHS256, []byte(secret), jwt.RegisteredClaims{Issuer: "quay", NotBefore: in(20 * time.Second)}, false},
		"iat_leeway":  {jwt.SigningMethodHS256, []byte(secret), jwt.RegisteredClaims{Issuer: "quay", IssuedAt: in(10 * time.Second)}, true},
		"iat_future":  {jwt.SigningMethodHS256, []byte(secret), jwt.RegisteredClaims{Issuer: "quay", IssuedAt: in(20 * time.Second)}, false},
		"iat_old":     {jwt.SigningMethodHS256, []byte(secret), jwt.RegisteredClaims{Issuer: "quay", IssuedAt: in(-time.Hour)}, true},
		"as_quay":     {jwt.SigningMethodHS256, []byte(secret), jwt.RegisteredClaims{Issuer: "quay", ExpiresAt: in(5 * time.Minute)}, true},
		"intraclair":  {jwt.SigningMethodHS256, []byte(secret), jwt.RegisteredClaims{Issuer: "clair-intraservice"}, false}, // not listed here
		"as_clairctl": {jwt.SigningMethodHS256, []byte(secret), jwt.RegisteredClaims{Issuer: "clairctl", IssuedAt: in(0), NotBefore: in(-time.Minute), ExpiresAt: in(time.Minute)}, true},
	} {
		t.Run(name, func(t *testing.T) {
			token, err := jwt.NewWithClaims(c.method, c.claims).SignedString(c.key)
			require.NoError(t, err)
			err = key(t).Verify(token, now, []string{"quay", "clairctl"})
			require.Equal(t, c.ok, err == nil, "%v", err)
			if err != nil {
				require.NotContains(t, err.Error(), token)
			}
		})
	}
	for name, token := range map[string]string{"empty": "", "dot": ".", "dots": "..", "letters": "x.y.z", "many_dots": strings.Repeat("a.", 1000)} {
		t.Run("malformed_"+name, func(t *testing.T) {
			require.Error(t, key(t).Verify(token, now, []string{"quay", ""}))
		})
	}
}

// TestKey_Hidden prints keys and errors about keys.
func TestKey_Hidden(t *testing.T) {
	for _, format := range []string{"%v", "%+v", "%#v", "%s"} {
		require.NotContains(t, fmt.Sprintf(format, key(t)), "secret")
		require.NotContains(t, fmt.Sprintf(format, struct{ Key psk.Key }{key(t)}), "116 104") // the bytes of "th"
	}
	for _, text := range []string{"", "  ", "hunter2!"} {
		_, err := psk.ParseKey(text)
		require.ErrorIs(t, err, clair.ErrInvalid)
		require.NotContains(t, err.Error(), "hunter2")
	}
}

func TestReadFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "token")
	_, err := psk.ReadFile(path)
	require.ErrorIs(t, err, os.ErrNotExist)
	for text, want := range map[string]error{" \n": clair.ErrInvalid, strings.Repeat("x", 65<<10): clair.ErrTooLarge} {
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		_, err = psk.ReadFile(path)
		require.ErrorIs(t, err, want)
	}
	require.NoError(t, os.WriteFile(path, []byte(" abc\n"), 0o600))
	text, err := psk.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, "abc", text)
}
