package login

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
	"golang.org/x/sync/singleflight"
)

// OIDCOptions name a provider and what it knows us by.
type OIDCOptions struct {
	Issuer       string // as the provider writes itself, such as https://id.example.org
	ClientID     string
	ClientSecret string // "" for a public client: PKCE stands in for it
	RedirectURL  string // where the provider sends the browser back to
	Now          func() time.Time
}

// OIDC logs in at an OpenID Connect provider, by the authorization code flow
// with PKCE, state and nonce. The provider is looked up when it is first needed,
// and again until it answers. It is safe for concurrent use.
type OIDC struct {
	opt      OIDCOptions
	client   *http.Client
	asking   singleflight.Group
	provider atomic.Pointer[oidc.Provider] // nil until it answered
}

// oidcTimeout bounds each call to the provider.
const oidcTimeout = 10 * time.Second

// NewOIDC makes an OIDC; it asks nobody yet.
func NewOIDC(opt OIDCOptions) *OIDC {
	if opt.Now == nil {
		opt.Now = time.Now
	}
	return &OIDC{opt: opt, client: &http.Client{Timeout: oidcTimeout}}
}

// OIDCFlow is what one log-in has to remember between its two halves, in the
// browser that began it.
type OIDCFlow struct {
	State    string `json:"state"`
	Nonce    string `json:"nonce"`
	Verifier string `json:"verifier"`
}

// ErrProvider says that the provider could not be asked.
var ErrProvider = errors.New("the OpenID provider does not answer")

// Begin gives the address at which the provider asks who somebody is, and what
// Finish needs to believe its answer. An error is ErrProvider.
func (o *OIDC) Begin(ctx context.Context) (string, OIDCFlow, error) {
	f := OIDCFlow{State: oauth2.GenerateVerifier(), Nonce: oauth2.GenerateVerifier(), Verifier: oauth2.GenerateVerifier()}
	p, err := o.find(ctx)
	if err != nil {
		return "", f, err
	}
	address := o.oauth(p).AuthCodeURL(f.State, oidc.Nonce(f.Nonce), oauth2.S256ChallengeOption(f.Verifier))
	return address, f, nil
}

// OIDCAnswer is what the provider sends the browser back with.
type OIDCAnswer struct {
	State, Code string
	Issuer      string // RFC 9207; "" where the provider doesn't say
}

// Finish gives the e-mail address that the provider has verified to be of who
// logged in. An error is ErrProvider, or says what the answer lacks.
func (o *OIDC) Finish(ctx context.Context, f OIDCFlow, answer OIDCAnswer) (email string, err error) {
	if f.State == "" || subtle.ConstantTimeCompare([]byte(f.State), []byte(answer.State)) != 1 {
		return "", errors.New("the state is of another log-in")
	}
	if answer.Issuer != "" && answer.Issuer != o.opt.Issuer {
		return "", errors.New("the answer is of another provider")
	}
	p, err := o.find(ctx)
	if err != nil {
		return "", err
	}
	ctx = oidc.ClientContext(ctx, o.client)
	token, err := o.oauth(p).Exchange(ctx, answer.Code, oauth2.VerifierOption(f.Verifier))
	if err != nil {
		return "", exchangeError(err)
	}
	raw, _ := token.Extra("id_token").(string)
	id, err := p.Verifier(&oidc.Config{ClientID: o.opt.ClientID, Now: o.opt.Now}).Verify(ctx, raw)
	if err != nil {
		return "", fmt.Errorf("the ID token: %w", err)
	}
	if subtle.ConstantTimeCompare([]byte(id.Nonce), []byte(f.Nonce)) != 1 {
		return "", errors.New("the ID token is of another log-in")
	}
	return o.verifiedEmail(ctx, p, id, token)
}

// exchangeError tells a provider that refuses a code from one that is out.
func exchangeError(err error) error {
	if refusal, ok := errors.AsType[*oauth2.RetrieveError](err); ok && refusal.Response != nil && refusal.Response.StatusCode < 500 {
		return errors.New("the provider refused the code")
	}
	return errors.Join(ErrProvider, err)
}

// verifiedEmail takes the address from the ID token, else from where the provider
// tells more of its users.
func (o *OIDC) verifiedEmail(ctx context.Context, p *oidc.Provider, id *oidc.IDToken, token *oauth2.Token) (string, error) {
	var claims struct {
		Email    string `json:"email"`
		Verified any    `json:"email_verified"`
	}
	if err := id.Claims(&claims); err != nil {
		return "", fmt.Errorf("the ID token: %w", err)
	}
	verified := claims.Verified == true || claims.Verified == "true" // some providers write text
	if claims.Email == "" && p.UserInfoEndpoint() != "" {
		info, err := p.UserInfo(ctx, oauth2.StaticTokenSource(token))
		if err != nil {
			return "", errors.Join(ErrProvider, err)
		}
		if info.Subject != id.Subject {
			return "", errors.New("the provider tells of somebody else")
		}
		claims.Email, verified = info.Email, info.EmailVerified
	}
	if claims.Email == "" || !verified {
		return "", errors.New("the provider names no verified e-mail address")
	}
	return strings.TrimSpace(claims.Email), nil
}

func (o *OIDC) oauth(p *oidc.Provider) *oauth2.Config {
	return &oauth2.Config{
		ClientID: o.opt.ClientID, ClientSecret: o.opt.ClientSecret, Endpoint: p.Endpoint(), RedirectURL: o.opt.RedirectURL,
		Scopes: []string{oidc.ScopeOpenID, "email"},
	}
}

// find looks the provider up (OpenID Connect Discovery 1.0). All who wait for it
// share one answer.
func (o *OIDC) find(ctx context.Context) (*oidc.Provider, error) {
	if p := o.provider.Load(); p != nil {
		return p, nil
	}
	asked := oidc.ClientContext(context.WithoutCancel(ctx), o.client)
	found, err, _ := o.asking.Do("", func() (any, error) { return oidc.NewProvider(asked, o.opt.Issuer) })
	if err != nil {
		return nil, errors.Join(ErrProvider, err)
	}
	p, _ := found.(*oidc.Provider)
	o.provider.Store(p)
	return p, nil
}

// Ping tells whether the provider answers.
func (o *OIDC) Ping(ctx context.Context) error {
	_, err := o.find(ctx)
	return err
}
