package gateway

import (
	"context"
	_ "embed"
	"errors"
	"html/template"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"ticketgate/gateway/api"
	"ticketgate/store"
)

// Limits of the HTTP faces.
const (
	headerTimeout = 10 * time.Second
	idleTimeout   = 2 * time.Minute
	headerBytes   = 64 << 10
)

//go:embed page.html
var pageText string

// page is what a browser sees at / until there is a console: what runs, what is
// missing next, and how to make a token. It names nothing that is not public.
type page struct {
	template *template.Template
	policy   string
	db       *store.DB
	health   *health
	version  string
}

// pageData is what the template shows.
type pageData struct {
	Version string
	Login   bool // who comes has a link of a mail; its token is not shown
	Ready   readiness
	Missing []string
}

func newPage(db *store.DB, h *health, version string) *page {
	return &page{template: template.Must(template.New("page").Parse(pageText)), policy: api.PagePolicy(pageText), db: db, health: h, version: version}
}

func (p *page) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != "/" && r.URL.Path != "/login" && !strings.HasPrefix(r.URL.Path, "/tickets/") {
		http.NotFound(w, r)
		return
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "this page is read only", http.StatusMethodNotAllowed)
		return
	}
	data := pageData{Version: p.version, Login: r.URL.Path == "/login", Ready: p.health.ready(r.Context()), Missing: p.missing(r.Context())}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", p.policy)
	_ = p.template.Execute(w, data) // who asks may be gone
}

// missing tells what is to be done next before the desk works.
func (p *page) missing(ctx context.Context) []string {
	desk, err := p.db.Desk(ctx)
	if err != nil {
		return nil // the state above says it
	}
	var keys []store.DKIMKey
	_ = p.db.View(ctx, func(ctx context.Context, tx *store.Tx) (err error) {
		keys, err = tx.DKIMKeys(ctx, "")
		return err
	}) // without an answer the hint about keys is left out
	return missing(desk, keys)
}

// missing lists, in the order of their doing, the steps that are left.
func missing(desk *store.Desk, keys []store.DKIMKey) []string {
	var steps []string
	if !hasTicketAccount(desk) {
		steps = append(steps, "No mail account receives tickets: make one with “ticketgate apply” or POST /api/v1/mail-accounts.")
	}
	if len(desk.Subscriptions) == 0 {
		steps = append(steps, "No agent is subscribed to a channel, so nobody is told of new tickets: POST /api/v1/channels/{id}/subscriptions.")
	}
	active := 0
	for _, k := range keys {
		if k.State == store.DKIMActive {
			active++
		}
	}
	if active == 0 {
		steps = append(steps, "Answers leave unsigned: make a key with “ticketgate dkim new DOMAIN” and publish its record.")
	}
	return steps
}

func hasTicketAccount(desk *store.Desk) bool {
	for i := range desk.Accounts {
		if a := &desk.Accounts[i]; a.Active && a.Type == store.AccountTicket {
			return true
		}
	}
	return false
}

// publicHandler is what http.listen and admin.listen serve; https tells whether
// the world comes that way.
func publicHandler(calls http.Handler, h *health, p *page, https bool) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/api/", calls)
	mux.HandleFunc("GET /healthz", serveHealthz)
	mux.HandleFunc("GET /readyz", h.serveReadyz)
	mux.Handle("/", p)
	mux.Handle("/tickets/", p) // where mails to agents lead, until there are pages
	mux.Handle("/login", p)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		api.SetHeaders(w.Header(), https)
		mux.ServeHTTP(w, r)
	})
}

// metricsHandler is what metrics.listen serves.
func metricsHandler(m *metrics, h *health) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{Registry: m.registry}))
	mux.HandleFunc("GET /healthz", serveHealthz)
	mux.HandleFunc("GET /readyz", h.serveReadyz)
	return mux
}

// webServer serves one HTTP face on its listeners.
type webServer struct {
	server    *http.Server
	listeners []net.Listener
}

// newWebServer makes a server; cert may be nil. What net/http has to say about
// clients is kept at debug level.
func newWebServer(handler http.Handler, listeners []net.Listener, cert *certificate, log *slog.Logger) *webServer {
	return &webServer{listeners: listeners, server: &http.Server{
		Handler: handler, TLSConfig: cert.config(), ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
		ReadHeaderTimeout: headerTimeout, IdleTimeout: idleTimeout, MaxHeaderBytes: headerBytes,
	}}
}

// serve accepts on every listener; failed is told when one ends by itself.
func (w *webServer) serve(failed func(error)) {
	for _, l := range w.listeners {
		go func() {
			var err error
			if w.server.TLSConfig != nil {
				err = w.server.ServeTLS(l, "", "")
			} else {
				err = w.server.Serve(l)
			}
			if !errors.Is(err, http.ErrServerClosed) {
				failed(err)
			}
		}()
	}
}

// stop lets running requests end, and cuts off what is left when ctx ends.
func (w *webServer) stop(ctx context.Context) error {
	if err := w.server.Shutdown(ctx); err != nil {
		return errors.Join(err, w.server.Close())
	}
	return nil
}

// originOf gives the address that links begin with, where none is configured.
func originOf(tls bool, a net.Addr) string {
	scheme := "http://"
	if tls {
		scheme = "https://"
	}
	if a == nil || a.Network() != "tcp" {
		return scheme + "localhost"
	}
	host := strings.Replace(a.String(), "[::]", "localhost", 1)
	return scheme + strings.Replace(host, "0.0.0.0", "localhost", 1)
}
