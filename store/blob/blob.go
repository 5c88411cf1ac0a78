// Package blob keeps large blobs outside of the database.
package blob

import (
	"net/url"
	"strings"

	"ticketgate/store"
)

// Open gives the place that a URL names: "file:/path/to/folder", which is made
// where it is not there.
func Open(rawURL string) (store.Blobs, error) {
	scheme, rest, _ := strings.Cut(rawURL, ":")
	if scheme != "file" {
		return nil, store.Invalid("blob.url", "knows file: only")
	}
	path := rest
	if strings.HasPrefix(rest, "//") {
		u, err := url.Parse(rawURL)
		if err != nil || u.Host != "" && u.Host != "localhost" {
			return nil, store.Invalid("blob.url", "is no URL of a folder of this machine")
		}
		path = u.Path
	}
	if path == "" {
		return nil, store.Invalid("blob.url", "names no folder")
	}
	return openFiles(path)
}
