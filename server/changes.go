package server

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"oriel/clair"
	"oriel/match"
)

// ChangeStore tells what changed.
type ChangeStore interface {
	// Changes finds what changed for one manifest, or for all where none is
	// named. The caller closes it.
	Changes(ctx context.Context, since clair.Since, manifest clair.Digest,
		affects func(*clair.Vulnerability, *clair.Package, *clair.Distribution, *clair.Repository) bool) (*clair.ChangeSet, error)
}

const typeNDJSON = "application/x-ndjson"

// getChanges streams what was added, removed or changed for manifests since a
// moment: as one document, or a line each. What goes wrong on the way stands
// in the trailer.
func (s *Server) getChanges(c echo.Context) error {
	media, err := negotiate(c.Request(), typeJSON, typeNDJSON)
	if err != nil {
		return err
	}
	since, err := clair.ParseSince(c.QueryParam("since"), time.Now())
	if err != nil {
		return err
	}
	var manifest clair.Digest
	if text := c.QueryParam("manifest"); text != "" {
		if manifest, err = clair.ParseDigest(text); err != nil {
			return err
		}
	}
	return s.withHeavy(c, func() error {
		changes, err := s.Changes.Changes(c.Request().Context(), since, manifest, match.NewJudge().Certain)
		if err != nil {
			return err
		}
		defer changes.Close()
		h := c.Response().Header()
		h.Set(echo.HeaderContentType, media)
		h.Set("Trailer", errorTrailer)
		if len(changes.Partial) > 0 {
			h.Set("Oriel-Partial", strings.Join(changes.Partial, ","))
		}
		c.Response().WriteHeader(http.StatusOK)
		if media == typeNDJSON {
			return writeChanges(c.Response(), changes, "", "\n")
		}
		return writeChangesDocument(c.Response(), changes)
	})
}

// writeChangesDocument names the feeds that do not go back so far, then lists
// the changes.
func writeChangesDocument(w io.Writer, changes *clair.ChangeSet) error {
	partial, err := json.Marshal(append([]string{}, changes.Partial...))
	if err != nil {
		return err
	}
	if _, err := io.WriteString(w, `{"partial":`+string(partial)+`,"changes":[`); err != nil {
		return err
	}
	if err := writeChanges(w, changes, ",", ""); err != nil {
		return err
	}
	_, err = io.WriteString(w, "]}\n")
	return err
}

// writeChanges writes changes with a text between each and one after each.
func writeChanges(w io.Writer, changes *clair.ChangeSet, between, after string) error {
	first := true
	for i, err := range changes.Impacts {
		if err != nil {
			return err
		}
		n, ok := match.Notify(i)
		if !ok {
			continue
		}
		for _, n.Manifest = range i.Manifests {
			text, err := json.Marshal(n)
			if err != nil {
				return err
			}
			if !first {
				text = append([]byte(between), text...)
			}
			first = false
			if _, err := w.Write(append(text, after...)); err != nil {
				return err
			}
		}
	}
	return nil
}
