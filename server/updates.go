package server

import (
	"context"
	"encoding/json"
	"io"
	"iter"
	"net/http"
	"strconv"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"oriel/clair"
	"oriel/internal/api"
)

// UpdateStore lists, compares and deletes update operations.
type UpdateStore interface {
	GetUpdateOperations(ctx context.Context, kind clair.Kind, updaters ...string) (map[string][]clair.UpdateOperation, error)
	GetLatestUpdateRefs(ctx context.Context, kind clair.Kind) (map[string][]clair.UpdateOperation, error)
	GetLatestUpdateRef(ctx context.Context, kind clair.Kind) (uuid.UUID, error)
	DeleteUpdateOperations(ctx context.Context, refs ...uuid.UUID) (int64, error)
	GetUpdateDiff(ctx context.Context, prev, cur uuid.UUID) (*clair.UpdateDiff, error)
}

func (s *Server) getUpdateOperations(c echo.Context) error {
	kind, err := kindParam(c)
	if err != nil {
		return err
	}
	ctx := c.Request().Context()
	newest, err := s.Updates.GetLatestUpdateRef(ctx, kind)
	if err != nil {
		return err
	}
	if newest != uuid.Nil {
		c.Response().Header().Set("Etag", quoted(newest.String()))
		if hasTag(c.Request(), newest.String()) {
			return c.NoContent(http.StatusNotModified)
		}
	}
	// A value that is not a bool means false, as in Clair.
	latest, _ := strconv.ParseBool(c.QueryParam("latest"))
	var ops map[string][]clair.UpdateOperation
	if latest {
		ops, err = s.Updates.GetLatestUpdateRefs(ctx, kind)
	} else {
		ops, err = s.Updates.GetUpdateOperations(ctx, kind)
	}
	if err != nil {
		return err
	}
	return answerJSON(c, http.StatusOK, typeJSON, ops)
}

// kindParam returns the query's kind; absent or empty means vulnerabilities.
func kindParam(c echo.Context) (clair.Kind, error) {
	switch k := clair.Kind(c.QueryParam("kind")); k {
	case "":
		return clair.KindVulnerability, nil
	case clair.KindVulnerability, clair.KindEnrichment:
		return k, nil
	default:
		return "", clair.Invalid("kind", "%.40q: must be %s or %s", k, clair.KindVulnerability, clair.KindEnrichment)
	}
}

// deleteUpdateOperation answers 200 for unknown operations, too, as Clair does.
func (s *Server) deleteUpdateOperation(c echo.Context) error {
	ref, err := uuidParam(c)
	if err != nil {
		return err
	}
	if _, err := s.Updates.DeleteUpdateOperations(c.Request().Context(), ref); err != nil {
		return err
	}
	return c.NoContent(http.StatusOK)
}

// getUpdateDiff streams a diff. An error on the way truncates the document and
// is reported in the trailer.
func (s *Server) getUpdateDiff(c echo.Context) error {
	cur, err := parseUUID("cur", c.QueryParam("cur"))
	if err != nil {
		return err
	}
	var prev uuid.UUID
	if p := c.QueryParam("prev"); p != "" {
		if prev, err = parseUUID("prev", p); err != nil {
			return err
		}
	}
	d, err := s.Updates.GetUpdateDiff(c.Request().Context(), prev, cur)
	if err != nil {
		return err
	}
	defer d.Close()
	h := c.Response().Header()
	h.Set(echo.HeaderContentType, typeJSON)
	h.Set("Trailer", api.ErrorTrailer)
	c.Response().WriteHeader(http.StatusOK)
	return writeDiff(c.Response(), d)
}

func writeDiff(w io.Writer, d *clair.UpdateDiff) error {
	for _, part := range []struct {
		key string
		op  clair.UpdateOperation
	}{{`{"prev":`, d.Prev}, {`,"cur":`, d.Cur}} {
		op, err := json.Marshal(part.op)
		if err != nil {
			return err
		}
		if _, err := w.Write(append([]byte(part.key), op...)); err != nil {
			return err
		}
	}
	if err := writeVulnerabilities(w, `,"added":`, d.Added); err != nil {
		return err
	}
	if err := writeVulnerabilities(w, `,"removed":`, d.Removed); err != nil {
		return err
	}
	_, err := io.WriteString(w, "}\n")
	return err
}

// writeVulnerabilities streams a list of vulnerabilities without their ranges,
// as Clair does.
func writeVulnerabilities(w io.Writer, key string, rows iter.Seq2[*clair.Vulnerability, error]) error {
	if _, err := io.WriteString(w, key+"["); err != nil {
		return err
	}
	separator := ""
	for v, err := range rows {
		if err != nil {
			return err
		}
		row := *v
		row.Range = nil
		text, err := json.Marshal(row)
		if err != nil {
			return err
		}
		if _, err := w.Write(append([]byte(separator), text...)); err != nil {
			return err
		}
		separator = ","
	}
	_, err := io.WriteString(w, "]")
	return err
}
