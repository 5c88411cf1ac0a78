package api

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/rs/cors"
	"golang.org/x/net/publicsuffix"
)

// origins say which pages of which hosts may use the API in a browser: those of
// our own, and those of the connected UIs that the configuration lists.
type origins struct {
	own        string
	listed     []string
	protection *http.CrossOriginProtection
	cors       *cors.Cors // nil: no other host has a UI
	secure     bool       // we are reached over https
	sameSite   http.SameSite
}

func newOrigins(publicURL string, listed []string) (*origins, error) {
	u, err := url.Parse(publicURL)
	if err != nil {
		return nil, fmt.Errorf("the public address: %w", err)
	}
	o := &origins{
		listed: listed, protection: http.NewCrossOriginProtection(), secure: u.Scheme == "https", sameSite: http.SameSiteLaxMode,
	}
	if u.Host != "" {
		o.own = u.Scheme + "://" + u.Host
		if err := o.protection.AddTrustedOrigin(o.own); err != nil {
			return nil, fmt.Errorf("the public address: %w", err)
		}
	}
	for _, origin := range listed {
		if err := o.protection.AddTrustedOrigin(origin); err != nil {
			return nil, fmt.Errorf("an allowed origin: %w", err)
		}
		if o.secure && siteOf(origin) != siteOf(o.own) {
			o.sameSite = http.SameSiteNoneMode // a Lax cookie isn't sent from another site at all
		}
	}
	if len(listed) > 0 {
		o.cors = connected(listed)
	}
	return o, nil
}

// connected is what a browser lets a UI on another host do.
func connected(listed []string) *cors.Cors {
	return cors.New(cors.Options{
		AllowOriginFunc:  func(origin string) bool { return slices.Contains(listed, origin) },
		AllowedMethods:   []string{http.MethodGet, http.MethodPost, http.MethodPatch, http.MethodDelete},
		AllowedHeaders:   []string{"Authorization", "Content-Type", "Idempotency-Key", "If-Match", "Last-Event-ID"},
		ExposedHeaders:   []string{"Content-Disposition", "ETag", "Location", "Retry-After", "X-Request-Id"},
		AllowCredentials: true, MaxAge: 600,
	})
}

// siteOf gives scheme and registrable domain of an origin, which is what a
// browser's SameSite goes by; a host without one stands for itself.
func siteOf(origin string) string {
	u, err := url.Parse(origin)
	if err != nil {
		return origin
	}
	host := strings.ToLower(u.Hostname())
	if site, err := publicsuffix.EffectiveTLDPlusOne(host); err == nil {
		host = site
	}
	return u.Scheme + "://" + host
}

// wrap answers preflights of the listed origins and marks answers for them. For
// all others a browser keeps the answer from the page.
func (o *origins) wrap(next http.Handler) http.Handler {
	if o.cors == nil {
		return next
	}
	return o.cors.Handler(next)
}

// foreign tells that the page of a host which we don't know made the browser send
// this request: its cookie doesn't count then.
func (o *origins) foreign(r *http.Request) bool {
	if o.protection.Check(r) != nil {
		return true
	}
	origin := r.Header.Get("Origin")
	if origin == "" || origin == o.own || slices.Contains(o.listed, origin) {
		return false
	}
	u, err := url.Parse(origin)
	return err != nil || u.Host == "" || u.Host != r.Host
}

func foreignOrigin() *problem {
	return newProblem(http.StatusForbidden, "the page that sends this is of no host that may").because("cross_origin")
}

// cookie makes one of ours: for this host alone, out of reach for scripts; life 0
// lasts as long as the browser runs, below it takes the cookie away.
func (o *origins) cookie(name, value string, life int, site http.SameSite) string {
	c := http.Cookie{
		Name: o.cookieName(name), Value: value, Path: "/", MaxAge: life, HttpOnly: true, Secure: o.secure, SameSite: site,
	}
	return c.String()
}

// cookieName gives the whole name: a browser takes one that begins with __Host-
// from this very host over https alone.
func (o *origins) cookieName(name string) string {
	if o.secure {
		return "__Host-" + name
	}
	return name
}

// localPath gives where a browser goes after a log-in: a path of ours, whatever
// was asked for.
func localPath(next string) string {
	u, err := url.Parse(next)
	if err != nil || u.IsAbs() || u.Host != "" || u.User != nil || u.Opaque != "" || !strings.HasPrefix(next, "/") ||
		strings.HasPrefix(next, "//") || strings.ContainsAny(next, "\\\r\n\t") || clientName(next) != next {
		return "/"
	}
	return next
}
