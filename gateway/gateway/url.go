package gateway

import (
	"fmt"
	"log/slog"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// URL names a service, perhaps with its password. Only Reveal shows that.
type URL struct {
	text string
}

// Reveal gives the whole URL, for the part that connects.
func (u URL) Reveal() string { return u.text }

// IsZero tells whether nothing was set.
func (u URL) IsZero() bool { return u.text == "" }

// Scheme gives what stands before the first colon.
func (u URL) Scheme() string {
	scheme, _, _ := strings.Cut(u.text, ":")
	return scheme
}

// Rest gives what stands after the first colon: the path of sqlite:, file: and dir:.
func (u URL) Rest() string {
	_, rest, _ := strings.Cut(u.text, ":")
	return rest
}

var password = regexp.MustCompile(`^([a-z0-9+]+://[^/@:]*):.*@`)
var inQuery = regexp.MustCompile(`(?i)([?&](?:password|sslpassword|api_?key|key|token|access_token)=)[^&]*`)

// String gives the URL with its password hidden.
func (u URL) String() string {
	hidden := password.ReplaceAllString(u.text, "${1}:"+masked+"@")
	return inQuery.ReplaceAllString(hidden, "${1}"+masked)
}

// GoString hides the password from %#v.
func (u URL) GoString() string { return u.String() }

// LogValue hides the password.
func (u URL) LogValue() slog.Value { return slog.StringValue(u.String()) }

// MarshalText hides the password.
func (u URL) MarshalText() ([]byte, error) { return []byte(u.String()), nil }

// pathSchemes are followed by a path, and not by a host.
var pathSchemes = []string{"sqlite", "file", "dir"}

// url reads a URL of one of the schemes; "embedded" stands alone.
func (v value) url(into *URL, schemes ...string) error {
	text, err := v.text()
	if err != nil {
		return err
	}
	u := URL{text: text}
	if text != "embedded" && (!slices.Contains(schemes, u.Scheme()) || !strings.Contains(text, ":")) ||
		text == "embedded" && !slices.Contains(schemes, text) {
		return fmt.Errorf("%q has none of the forms %s", u.String(), forms(schemes))
	}
	if u.text, err = expand(text); err != nil {
		return err
	}
	if err := checkURL(u); err != nil {
		return err
	}
	*into = u
	return nil
}

// checkURL finds what no service could be reached by. Lists of hosts, as
// clusters have them, are left to the part that connects.
func checkURL(u URL) error {
	if u.text == "embedded" {
		return nil
	}
	if slices.Contains(pathSchemes, u.Scheme()) {
		if u.Rest() == "" {
			return fmt.Errorf("%q names no path", u.String())
		}
		return nil
	}
	authority, ok := strings.CutPrefix(u.Rest(), "//")
	authority, _, _ = strings.Cut(authority, "/")
	host := authority[strings.LastIndexByte(authority, '@')+1:]
	if !ok || host == "" {
		return fmt.Errorf("%q names no host", u.String())
	}
	if strings.Contains(host, ",") {
		return nil
	}
	if _, err := url.Parse(u.text); err != nil {
		return fmt.Errorf("%q is no URL; a password with special characters is best given as ${env:NAME} or ${file:/path}", u.String())
	}
	return nil
}

// forms lists schemes for an error.
func forms(schemes []string) string {
	var all []string
	for _, s := range schemes {
		switch {
		case s == "embedded":
			all = append(all, s)
		case slices.Contains(pathSchemes, s):
			all = append(all, s+":PATH")
		default:
			all = append(all, s+"://")
		}
	}
	return strings.Join(all, ", ")
}
