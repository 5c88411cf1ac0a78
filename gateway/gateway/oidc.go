package gateway

import (
	"context"
	"time"

	"ticketgate/gateway/api"
	"ticketgate/gateway/login"
)

// newOIDC makes the client of the provider that the configuration names.
func newOIDC(c *Config, publicURL string, now func() time.Time) *login.OIDC {
	return login.NewOIDC(login.OIDCOptions{
		Issuer: c.OIDC.Issuer, ClientID: c.OIDC.ClientID, ClientSecret: c.OIDC.ClientSecret.Reveal(),
		RedirectURL: publicURL + api.Prefix + api.OIDCBack, Now: now,
	})
}

// oidc tells whether the provider answers.
func (f *findings) oidc(ctx context.Context, c *Config) {
	if c.OIDC.Issuer == "" {
		return
	}
	if err := newOIDC(c, c.HTTP.PublicURL, time.Now).Ping(ctx); err != nil {
		f.add(LevelError, "OpenID provider %s: %v", c.OIDC.Issuer, err)
		return
	}
	f.add(LevelOK, "OpenID provider %s answers", c.OIDC.Issuer)
}
