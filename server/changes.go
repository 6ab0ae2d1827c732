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
	"oriel/internal/api"
	"oriel/match"
)

// ChangeStore finds changes of the manifests' findings.
type ChangeStore interface {
	// Changes returns what changed for a manifest, or for all if manifest is
	// "". The caller closes the set.
	Changes(ctx context.Context, since clair.Since, manifest clair.Digest,
		affects func(*clair.Vulnerability, *clair.Package, *clair.Distribution, *clair.Repository) bool) (*clair.ChangeSet, error)
}

// getChanges streams what was added, removed or changed for manifests since a
// moment, as one document or one line each. An error on the way is reported in
// the trailer.
func (s *Server) getChanges(c echo.Context) error {
	media, err := negotiate(c.Request(), typeJSON, api.TypeNDJSON)
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
		places, err := s.notCovered(c.Request().Context(), manifest)
		if err != nil {
			return err
		}
		h := c.Response().Header()
		setNotCovered(h, places)
		h.Set(echo.HeaderContentType, media)
		h.Set("Trailer", api.ErrorTrailer)
		if len(changes.Partial) > 0 {
			h.Set(api.PartialHeader, strings.Join(changes.Partial, ","))
		}
		c.Response().WriteHeader(http.StatusOK)
		if media == api.TypeNDJSON {
			return writeChanges(c.Response(), changes, "", "\n")
		}
		return writeChangesDocument(c.Response(), changes, places)
	})
}

// writeChangesDocument writes the feeds whose operations do not go back far
// enough, the places that are not covered, and the changes, as one document.
func writeChangesDocument(w io.Writer, changes *clair.ChangeSet, places []clair.Place) error {
	head, err := json.Marshal(struct {
		Partial    []string              `json:"partial"`
		NotCovered []api.NotCoveredPlace `json:"not_covered"`
	}{append([]string{}, changes.Partial...), api.NewNotCovered(append([]clair.Place{}, places...))})
	if err != nil {
		return err
	}
	if _, err := io.WriteString(w, strings.TrimSuffix(string(head), "}")+`,"changes":[`); err != nil {
		return err
	}
	if err := writeChanges(w, changes, ",", ""); err != nil {
		return err
	}
	_, err = io.WriteString(w, "]}\n")
	return err
}

// writeChanges writes changes as JSON, with one text between and another after
// them.
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
