package testbed

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"testing"
	"time"
)

// OIDCProvider is an OpenID Connect provider over HTTP on loopback: discovery, the
// authorization code flow with PKCE, signed ID tokens, user info. It asks nobody anything:
// whoever comes is logged in as who As named. Its methods may be called from several
// goroutines at once.
type OIDCProvider struct {
	Issuer       string
	ClientID     string
	ClientSecret string

	key *rsa.PrivateKey

	mu     sync.Mutex
	claims map[string]any // guarded by mu, like the following
	info   map[string]any
	codes  map[string]oidcCode
	tokens map[string]bool
	down   bool
}

// oidcCode is what a code stands for until it is used.
type oidcCode struct {
	challenge, nonce, redirect string
}

// OIDC starts a provider that ends with the test. Nobody is logged in yet.
func OIDC(tb testing.TB) *OIDCProvider {
	tb.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		tb.Fatalf("oidc: %v", err)
	}
	p := &OIDCProvider{ClientID: "ticketgate", ClientSecret: "the client's secret", key: key,
		codes: map[string]oidcCode{}, tokens: map[string]bool{}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/openid-configuration", p.discovery)
	mux.HandleFunc("GET /authorize", p.authorize)
	mux.HandleFunc("POST /token", p.token)
	mux.HandleFunc("GET /keys", p.keys)
	mux.HandleFunc("GET /userinfo", p.userInfo)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if p.isDown() {
			http.Error(w, "out of order", http.StatusServiceUnavailable)
			return
		}
		mux.ServeHTTP(w, r)
	}))
	tb.Cleanup(server.Close)
	p.Issuer = server.URL
	return p
}

// As says who is logged in from now on: claims are added to the ID token, and replace what
// stands there; info is what GET /userinfo tells.
func (p *OIDCProvider) As(claims, info map[string]any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.claims, p.info = claims, info
}

// Down makes the provider answer 503 to everything, or ends that.
func (p *OIDCProvider) Down(down bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.down = down
}

func (p *OIDCProvider) isDown() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.down
}

func (p *OIDCProvider) discovery(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, map[string]any{
		"issuer": p.Issuer, "authorization_endpoint": p.Issuer + "/authorize", "token_endpoint": p.Issuer + "/token",
		"jwks_uri": p.Issuer + "/keys", "userinfo_endpoint": p.Issuer + "/userinfo",
		"id_token_signing_alg_values_supported": []string{"RS256"}, "code_challenge_methods_supported": []string{"S256"},
		"response_types_supported": []string{"code"}, "subject_types_supported": []string{"public"},
	})
}

// authorize logs in without a question, and sends the browser back.
func (p *OIDCProvider) authorize(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	back, err := url.Parse(q.Get("redirect_uri"))
	if err != nil || q.Get("client_id") != p.ClientID || q.Get("response_type") != "code" || q.Get("code_challenge_method") != "S256" ||
		q.Get("code_challenge") == "" || q.Get("state") == "" || q.Get("nonce") == "" {
		http.Error(w, "no such request", http.StatusBadRequest)
		return
	}
	code := rand.Text()
	p.mu.Lock()
	p.codes[code] = oidcCode{challenge: q.Get("code_challenge"), nonce: q.Get("nonce"), redirect: q.Get("redirect_uri")}
	p.mu.Unlock()
	back.RawQuery = url.Values{"code": {code}, "state": {q.Get("state")}, "iss": {p.Issuer}}.Encode()
	http.Redirect(w, r, back.String(), http.StatusFound)
}

// token takes a code once, from who knows the client's secret and the verifier.
func (p *OIDCProvider) token(w http.ResponseWriter, r *http.Request) {
	id, secret, _ := r.BasicAuth()
	id, _ = url.QueryUnescape(id)
	secret, _ = url.QueryUnescape(secret)
	verifier := sha256.Sum256([]byte(r.FormValue("code_verifier")))
	p.mu.Lock()
	defer p.mu.Unlock()
	code, ok := p.codes[r.FormValue("code")]
	if !ok || id != p.ClientID || secret != p.ClientSecret || code.redirect != r.FormValue("redirect_uri") ||
		base64.RawURLEncoding.EncodeToString(verifier[:]) != code.challenge {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusBadRequest)
		writeJSON(w, map[string]any{"error": "invalid_grant"})
		return
	}
	delete(p.codes, r.FormValue("code"))
	claims := map[string]any{
		"iss": p.Issuer, "aud": p.ClientID, "sub": "somebody", "nonce": code.nonce,
		"iat": time.Now().Unix(), "exp": time.Now().Add(time.Hour).Unix(),
	}
	maps.Copy(claims, p.claims)
	access := rand.Text()
	p.tokens[access] = true
	writeJSON(w, map[string]any{"access_token": access, "token_type": "Bearer", "id_token": p.sign(claims)})
}

// sign makes a JSON Web Signature (RFC 7515, 7.1) with RS256.
func (p *OIDCProvider) sign(claims map[string]any) string {
	encode := func(v any) string {
		text, _ := json.Marshal(v) // strings and numbers alone
		return base64.RawURLEncoding.EncodeToString(text)
	}
	input := encode(map[string]string{"alg": "RS256", "kid": "one"}) + "." + encode(claims)
	sum := sha256.Sum256([]byte(input))
	signature, err := rsa.SignPKCS1v15(rand.Reader, p.key, crypto.SHA256, sum[:])
	if err != nil {
		return input // without a signature nobody believes it
	}
	return input + "." + base64.RawURLEncoding.EncodeToString(signature)
}

func (p *OIDCProvider) keys(w http.ResponseWriter, _ *http.Request) {
	public := p.key.PublicKey
	writeJSON(w, map[string]any{"keys": []any{map[string]string{
		"kty": "RSA", "alg": "RS256", "use": "sig", "kid": "one",
		"n": base64.RawURLEncoding.EncodeToString(public.N.Bytes()), "e": "AQAB",
	}}})
}

func (p *OIDCProvider) userInfo(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if token := r.Header.Get("Authorization"); len(token) < 7 || !p.tokens[token[7:]] {
		http.Error(w, "who asks?", http.StatusUnauthorized)
		return
	}
	writeJSON(w, p.info)
}

func writeJSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v) // a client that is gone needs no answer
}
