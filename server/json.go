package server

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"oriel/clair"
	"oriel/index/reader"
)

// decodeJSON decodes the body of a request, which is one JSON document of at
// most limit bytes in any encoding of Unicode. Unknown keys are ignored, as in
// Clair; trailing data is an error. Errors wrap clair.ErrInvalid and name the
// field if it is known.
func decodeJSON[T any](c echo.Context, limit int64) (T, error) {
	var v T
	body, err := requestBody(c, limit)
	if err != nil {
		return v, err
	}
	d := json.NewDecoder(reader.UTF8Reader(body))
	err = d.Decode(&v)
	if err == nil {
		err = checkEnd(d)
	}
	if err == nil {
		return v, nil
	}
	if e, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return v, e
	}
	if e, ok := errors.AsType[*statusError](err); ok {
		return v, e
	}
	if errors.Is(err, clair.ErrInvalid) {
		return v, err
	}
	if e, ok := errors.AsType[*json.UnmarshalTypeError](err); ok && e.Field != "" {
		return v, clair.Invalid(e.Field, "unexpected JSON %s", e.Value)
	}
	return v, clair.Invalid("body", "invalid JSON: %v", err)
}

// checkEnd returns an error unless only white space follows in a body.
func checkEnd(d *json.Decoder) error {
	_, err := d.Token()
	_, tooLarge := errors.AsType[*http.MaxBytesError](err)
	_, refused := errors.AsType[*statusError](err)
	switch {
	case err == io.EOF:
		return nil
	case tooLarge, refused, errors.Is(err, clair.ErrInvalid):
		return err
	}
	return clair.Invalid("body", "trailing data after the JSON document")
}

// answerJSON writes a document of the given media type.
func answerJSON(c echo.Context, status int, media string, v any) error {
	c.Response().Header().Set(echo.HeaderContentType, media)
	c.Response().WriteHeader(status)
	return json.NewEncoder(c.Response()).Encode(v)
}

// lastSegment returns the last segment of the request's path, unescaped.
func lastSegment(c echo.Context) (string, error) {
	path := c.Request().URL.EscapedPath()
	s, err := url.PathUnescape(path[strings.LastIndexByte(path, '/')+1:])
	if err != nil {
		return "", clair.Invalid("path", "invalid escape in %.80q", path)
	}
	return s, nil
}

// digestParam returns the digest at the end of the path.
func digestParam(c echo.Context) (clair.Digest, error) {
	s, err := lastSegment(c)
	if err != nil {
		return "", err
	}
	return clair.ParseDigest(s)
}

// uuidParam returns the UUID at the end of the path.
func uuidParam(c echo.Context) (uuid.UUID, error) {
	s, err := lastSegment(c)
	if err != nil {
		return uuid.Nil, err
	}
	return parseUUID("ref", s)
}

func parseUUID(field, s string) (uuid.UUID, error) {
	id, err := uuid.Parse(s)
	if err != nil {
		return uuid.Nil, clair.Invalid(field, "%.60q is not a UUID", s)
	}
	return id, nil
}
