package updateinfo

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"

	"oriel/clair"
	"oriel/internal/feed"
	"oriel/internal/fetch"
)

// Format is the format "updateinfo": an updateinfo.xml, or the
// address of the repository that has it: a mirror.list, a repomd.xml or a
// directory.
func Format() feed.Format {
	f := feed.PlainFormat("updateinfo", 2, Parse)
	plain := f.New
	f.New = func(of feed.Feed, c *fetch.Client) (clair.Updater, error) {
		u, err := plain(of, c)
		w, ok := u.(*feed.File)
		if err != nil || !ok || !isRepository(of.URL) {
			return u, err
		}
		return &repository{File: w}, nil
	}
	return f
}

func isRepository(address string) bool {
	return strings.HasSuffix(address, "mirror.list") || strings.HasSuffix(address, "repomd.xml") || strings.HasSuffix(address, "/")
}

// repository is an updater that finds its feed through the index of a
// repository of RPMs. The fingerprint is the checksum in that index.
type repository struct{ *feed.File }

// repoIndex is the index of a repository below its address.
const repoIndex = "repodata/repomd.xml"

// maxMirrors is how many mirrors are tried, and maxIndex limits lists and
// indexes.
const (
	maxMirrors = 3
	maxIndex   = 1 << 20
)

// Fetch finds the feed and fetches it, unless the index still has the same
// checksum.
func (u *repository) Fetch(ctx context.Context, last clair.Fingerprint) (io.ReadCloser, clair.Fingerprint, error) {
	address := u.Feed.URL
	switch {
	case strings.HasSuffix(address, "mirror.list"):
		return u.mirrors(ctx, last)
	case strings.HasSuffix(address, repoIndex):
		address = strings.TrimSuffix(address, repoIndex)
	case !strings.HasSuffix(address, "/"):
		return nil, "", feed.Malformed("%s is not at %s of a repository", fetch.Mask(address), repoIndex)
	}
	return u.fetchFrom(ctx, address, last)
}

// mirrors tries the first mirrors of the list in their order.
func (u *repository) mirrors(ctx context.Context, last clair.Fingerprint) (io.ReadCloser, clair.Fingerprint, error) {
	f, _, err := u.Client.Get(ctx, fetch.Request{URL: u.Feed.URL, MaxSize: maxIndex})
	if err != nil {
		return nil, "", err
	}
	var list []string
	lines := bufio.NewScanner(f)
	for lines.Scan() && len(list) < maxMirrors {
		if line := strings.TrimSpace(lines.Text()); line != "" && !strings.HasPrefix(line, "#") {
			list = append(list, strings.TrimSuffix(line, "/")+"/")
		}
	}
	if err := errors.Join(lines.Err(), f.Close()); err != nil {
		return nil, "", fmt.Errorf("list of mirrors: %w", err)
	}
	var errs []error
	for _, address := range list {
		// Only network addresses: a list must not name files of this machine.
		if !strings.HasPrefix(address, "https://") && !strings.HasPrefix(address, "http://") {
			errs = append(errs, feed.Malformed("the mirror %.80q is not on the network", address))
			continue
		}
		body, fp, err := u.fetchFrom(ctx, address, last)
		if err == nil || errors.Is(err, clair.ErrUnchanged) || ctx.Err() != nil {
			return body, fp, err
		}
		errs = append(errs, err)
	}
	if len(errs) == 0 {
		return nil, "", feed.Malformed("the list of mirrors is empty")
	}
	return nil, "", errors.Join(errs...)
}

// fetchFrom fetches the feed of the repository at an address.
func (u *repository) fetchFrom(ctx context.Context, address string, last clair.Fingerprint) (io.ReadCloser, clair.Fingerprint, error) {
	index, _, err := u.Client.Get(ctx, fetch.Request{URL: address + repoIndex, MaxSize: maxIndex})
	if err != nil {
		return nil, "", err
	}
	data, err := readRepoMD(index)
	if err = errors.Join(err, index.Close()); err != nil {
		return nil, "", err
	}
	href := data.Location.Href
	if href != path.Clean(href) || strings.HasPrefix(href, "/") || strings.HasPrefix(href, "..") || strings.Contains(href, ":") {
		return nil, "", feed.Malformed("the repository has its updateinfo elsewhere: %.80q", href)
	}
	fp := clair.Fingerprint(data.Checksum.Type + ":" + data.Checksum.Sum)
	if fp == last {
		return nil, "", clair.ErrUnchanged
	}
	f, _, err := u.Client.Get(ctx, fetch.Request{URL: address + href, MaxSize: u.Feed.Bytes(feed.MaxSizeOption)})
	if err != nil {
		return nil, "", err
	}
	if data.Checksum.Type == "sha256" {
		err = checkSum(ctx, f, data.Checksum.Sum)
	}
	if err != nil {
		return nil, "", errors.Join(err, f.Close())
	}
	return f, fp, nil
}

// checkSum compares a file with its SHA-256.
func checkSum(ctx context.Context, f *fetch.File, want string) error {
	sum := sha256.New()
	if _, err := io.Copy(sum, feed.WithContext(ctx, io.NewSectionReader(f, 0, f.Size()))); err != nil {
		return fmt.Errorf("checksum: %w", err)
	}
	if got := hex.EncodeToString(sum.Sum(nil)); got != want {
		return feed.Malformed("the updateinfo has the checksum %s, and the index says %s", got, want)
	}
	return nil
}
