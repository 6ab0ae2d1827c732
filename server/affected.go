package server

import (
	"cmp"
	"net/http"
	"slices"
	"strconv"

	"github.com/labstack/echo/v4"

	"oriel/clair"
	"oriel/match"
)

const typeAffectedManifests = "application/vnd.clair.affected_manifests.v1+json"

// affectedRequest is the body of a request for affected manifests.
type affectedRequest struct {
	Vulnerabilities []*clair.Vulnerability `json:"vulnerabilities"`
}

// affectedManifests is the response. It includes every vulnerability of the
// request, whether it affects anything or not.
type affectedManifests struct {
	Vulnerabilities map[string]*clair.Vulnerability `json:"vulnerabilities"`
	Manifests       map[clair.Digest][]string       `json:"vulnerable_manifests"`
}

// postAffectedManifests answers with the manifests that the given
// vulnerabilities affect. Missing fields of a vulnerability count as empty.
func (s *Server) postAffectedManifests(c echo.Context) error {
	media, err := negotiate(c.Request(), typeAffectedManifests, typeJSON)
	if err != nil {
		return err
	}
	return s.withHeavy(c, func() error {
		body, err := decodeJSON[affectedRequest](c, int64(s.Limits.Body))
		if err != nil {
			return err
		}
		for i, v := range body.Vulnerabilities {
			if v == nil {
				return clair.Invalid("vulnerabilities."+strconv.Itoa(i), "is null")
			}
			v.ID = cmp.Or(v.ID, strconv.Itoa(i))
		}
		answer, err := s.affected(c, body.Vulnerabilities)
		if err != nil {
			return err
		}
		return answerJSON(c, http.StatusOK, media, answer)
	})
}

func (s *Server) affected(c echo.Context, vulns []*clair.Vulnerability) (*affectedManifests, error) {
	out := &affectedManifests{map[string]*clair.Vulnerability{}, map[clair.Digest][]string{}}
	for _, v := range vulns {
		out.Vulnerabilities[v.ID] = v
	}
	stream := func(yield func(*clair.Vulnerability, error) bool) {
		for _, v := range vulns {
			if !yield(v, nil) {
				return
			}
		}
	}
	found := map[clair.Digest][]int{}
	for a, err := range s.Manifests.AffectedManifests(c.Request().Context(), stream, match.NewJudge().Certain) {
		if err != nil {
			return nil, err
		}
		for _, m := range a.Manifests {
			found[m] = append(found[m], a.Vulnerability)
		}
	}
	for m, list := range found {
		slices.SortFunc(list, func(a, b int) int {
			return cmp.Or(cmp.Compare(vulns[b].NormalizedSeverity, vulns[a].NormalizedSeverity), cmp.Compare(a, b))
		})
		for _, i := range slices.Compact(list) {
			out.Manifests[m] = append(out.Manifests[m], vulns[i].ID)
		}
	}
	return out, nil
}
