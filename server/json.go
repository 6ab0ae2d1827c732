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
)

// decodeJSON reads one JSON document of at most limit bytes from a request.
// Unknown keys are left out, as Clair does; anything after the document is an
// error. Errors are ErrInvalid and name the field where there is one.
func decodeJSON[T any](c echo.Context, limit int64) (T, error) {
	var v T
	d := json.NewDecoder(http.MaxBytesReader(c.Response(), c.Request().Body, limit))
	err := d.Decode(&v)
	if err == nil {
		if _, end := d.Token(); end != io.EOF {
			err = clair.Invalid("body", "something follows the JSON document")
		}
	}
	if err == nil {
		return v, nil
	}
	if e, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return v, e
	}
	if errors.Is(err, clair.ErrInvalid) {
		return v, err
	}
	if e, ok := errors.AsType[*json.UnmarshalTypeError](err); ok && e.Field != "" {
		return v, clair.Invalid(e.Field, "is a %s and should not be", e.Value)
	}
	return v, clair.Invalid("body", "is not the JSON that is wanted here: %v", err)
}

// answerJSON writes a document of the given media type.
func answerJSON(c echo.Context, status int, media string, v any) error {
	c.Response().Header().Set(echo.HeaderContentType, media)
	c.Response().WriteHeader(status)
	return json.NewEncoder(c.Response()).Encode(v)
}

// lastSegment is the last segment of a path, unescaped.
func lastSegment(c echo.Context) (string, error) {
	path := c.Request().URL.EscapedPath()
	s, err := url.PathUnescape(path[strings.LastIndexByte(path, '/')+1:])
	if err != nil {
		return "", clair.Invalid("path", "%.80q is badly escaped", path)
	}
	return s, nil
}

// digestParam is the digest at the end of the path.
func digestParam(c echo.Context) (clair.Digest, error) {
	s, err := lastSegment(c)
	if err != nil {
		return "", err
	}
	return clair.ParseDigest(s)
}

// uuidParam is the UUID at the end of the path.
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
