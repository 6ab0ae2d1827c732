package index

import (
	"oriel/clair"
	"oriel/internal/cpe"
)

// Ready checks an index report of another program and fills in the optional
// parts, so that every client can read it back: ids from the keys of the maps,
// empty maps and lists, the manifest as the layer of packages that name none. The error is an ErrInvalid that names the field.
func Ready(r *clair.IndexReport, manifest clair.Digest) error {
	switch {
	case r.Hash != "" && r.Hash != manifest:
		return clair.Invalid("manifest_hash", "%s is not the digest of the address, %s", r.Hash, manifest)
	case r.State != "" && r.State != clair.StateIndexFinished:
		return clair.Invalid("state", "%.40q: only a report that is %s can be stored", r.State, clair.StateIndexFinished)
	}
	r.Hash, r.State, r.Success, r.Err = manifest, clair.StateIndexFinished, true, ""
	for _, fill := range []func(*clair.IndexReport) error{readyDistributions, readyRepositories, readyPackages, readyEnvironments} {
		if err := fill(r); err != nil {
			return err
		}
	}
	Complete(r)
	return nil
}

func readyDistributions(r *clair.IndexReport) error {
	if r.Distributions == nil {
		r.Distributions = map[string]*clair.Distribution{}
	}
	for id, d := range r.Distributions {
		if d == nil {
			return clair.Invalid("distributions."+id, "is null")
		}
		d.ID = id
		if err := readyCPE("distributions."+id, &d.CPE); err != nil {
			return err
		}
	}
	return nil
}

func readyRepositories(r *clair.IndexReport) error {
	if r.Repositories == nil {
		r.Repositories = map[string]*clair.Repository{}
	}
	for id, p := range r.Repositories {
		if p == nil {
			return clair.Invalid("repository."+id, "is null")
		}
		p.ID = id
		if err := readyCPE("repository."+id, &p.CPE); err != nil {
			return err
		}
	}
	return nil
}

func readyPackages(r *clair.IndexReport) error {
	if r.Packages == nil {
		r.Packages = map[string]*clair.Package{}
	}
	for id, p := range r.Packages {
		at := "packages." + id
		if p == nil {
			return clair.Invalid(at, "is null")
		}
		if p.Name == "" {
			return clair.Invalid(at+".name", "is missing")
		}
		p.ID = id
		if len(r.Environments[id]) == 0 {
			return clair.Invalid("environments."+id, "is missing: package %q must be somewhere", p.Name)
		}
		if err := readyPackage(at, p); err != nil {
			return err
		}
		if p.Source == nil || p.Source.Name == "" {
			continue // Complete sets it
		}
		p.Source.Source = nil
		if err := readyPackage(at+".source", p.Source); err != nil {
			return err
		}
	}
	return nil
}

func readyPackage(at string, p *clair.Package) error {
	if _, err := clair.ParseNormalizedVersion(p.NormalizedVersion); err != nil && p.NormalizedVersion != clair.Unmatchable {
		return clair.Invalid(at+".normalized_version", "%.60q is not KIND: and ten numbers", p.NormalizedVersion)
	}
	return readyCPE(at, &p.CPE)
}

// readyCPE checks a CPE and rewrites it as a formatted string, the only form
// that Clair's clients read.
func readyCPE(at string, text *string) error {
	if *text == "" {
		return nil
	}
	name, err := cpe.Parse(*text)
	if err != nil {
		return clair.Invalid(at+".cpe", "%.100q is not a CPE", *text)
	}
	*text = name.String()
	return nil
}

func readyEnvironments(r *clair.IndexReport) error {
	if r.Environments == nil {
		r.Environments = map[string][]clair.Environment{}
	}
	for id, list := range r.Environments {
		if r.Packages[id] == nil {
			return clair.Invalid("environments."+id, "no package has this id")
		}
		for i := range list {
			env := &list[i]
			if env.DistributionID != "" && r.Distributions[env.DistributionID] == nil {
				return clair.Invalid("environments."+id+".distribution_id", "no distribution has the id %q", env.DistributionID)
			}
			for _, repo := range env.RepositoryIDs {
				if r.Repositories[repo] == nil {
					return clair.Invalid("environments."+id+".repository_ids", "no repository has the id %q", repo)
				}
			}
			if env.RepositoryIDs == nil {
				env.RepositoryIDs = []string{}
			}
			if env.IntroducedIn == "" {
				env.IntroducedIn = r.Hash
			}
		}
	}
	return nil
}
