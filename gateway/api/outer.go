package api

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/netip"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"ticketgate/store"
)

type requestKey struct{}

// request is what the log and the metrics want to know of one.
type request struct {
	id        string
	operation string
	stream    bool // its time says nothing of how fast we are
	http      *http.Request
	address   netip.Addr // of the client
}

// requestID gives the log's name of the request that ctx belongs to.
func requestID(ctx context.Context) string {
	if r, ok := ctx.Value(requestKey{}).(*request); ok {
		return r.id
	}
	return ""
}

// outer wraps what every request gets: an id, the headers that keep an answer
// from being taken for a page or kept by a proxy, the log line, the time, and
// an answer when the handler panics.
func (a *api) outer(mux *http.ServeMux) http.Handler {
	served := a.origins.wrap(mux)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		info := &request{
			id: store.NewID(), operation: a.operation(mux, r), http: r, address: clientAddress(r, a.TrustedProxies),
		}
		r = r.WithContext(context.WithValue(r.Context(), requestKey{}, info))
		rec := &recorder{ResponseWriter: w}
		header := rec.Header()
		header.Set("X-Request-Id", info.id)
		SetHeaders(header, a.origins.secure)
		start := time.Now()
		defer a.finish(rec, r, info, start)
		served.ServeHTTP(rec, r)
	})
}

// SetHeaders sets what every answer of an HTTP face bears: it is not taken for a
// page, framed, kept by a proxy, or told of to where its links lead; and, over
// https, the browser comes that way alone for half a year (RFC 6797). What is a
// page replaces the policy by its own.
func SetHeaders(h http.Header, https bool) {
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Content-Security-Policy", "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
	if https {
		h.Set("Strict-Transport-Security", "max-age=15552000")
	}
}

// finish logs and counts a request, also one that panicked.
func (a *api) finish(rec *recorder, r *http.Request, info *request, start time.Time) {
	failure := recover()
	if err, ok := failure.(error); ok && errors.Is(err, http.ErrAbortHandler) {
		panic(failure)
	}
	if failure != nil {
		a.Log.ErrorContext(r.Context(), "request panicked", "request_id", info.id, "operation", info.operation,
			"panic", failure, "stack", string(debug.Stack()))
		if rec.status == 0 {
			a.write(rec, r, internal())
		}
	}
	took := time.Since(start)
	if !info.stream {
		a.observe(info.operation, rec.code(), took)
	}
	a.Log.DebugContext(r.Context(), "request", "request_id", info.id, "operation", info.operation,
		"method", r.Method, "status", rec.code(), "took", took, "address", info.address.String())
}

// write answers with a problem outside of any operation.
func (a *api) write(w http.ResponseWriter, r *http.Request, p *problem) {
	p.RequestID = requestID(r.Context())
	for name, values := range p.header {
		w.Header()[name] = values
	}
	w.Header().Set("Content-Type", problemType)
	w.WriteHeader(p.Status)
	if r.Method != http.MethodHead {
		_ = json.NewEncoder(w).Encode(p) // a client that is gone needs no answer
	}
}

// recorder remembers the status that was written.
type recorder struct {
	http.ResponseWriter
	status int
}

func (r *recorder) WriteHeader(status int) {
	if r.status == 0 {
		r.status = status
	}
	r.ResponseWriter.WriteHeader(status)
}

func (r *recorder) Write(b []byte) (int, error) {
	if r.status == 0 {
		r.status = http.StatusOK
	}
	return r.ResponseWriter.Write(b)
}

// Unwrap lets http.ResponseController through to deadlines.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

func (r *recorder) code() int {
	if r.status == 0 {
		return http.StatusOK
	}
	return r.status
}

// operation names the operation that a request goes to, or "none".
func (a *api) operation(mux *http.ServeMux, r *http.Request) string {
	_, pattern := mux.Handler(r)
	method, path, ok := strings.Cut(pattern, " ")
	if !ok {
		return "none"
	}
	at := slices.IndexFunc(a.routes, func(o route) bool { return o.method == method && Prefix+o.path == path })
	if at < 0 {
		return "description"
	}
	return a.routes[at].id
}

// elsewhere answers for paths that there are not, and for methods that a path
// does not have.
func (a *api) elsewhere(mux *http.ServeMux) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var allow []string
		for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodPatch, http.MethodDelete} {
			probe := r.Clone(r.Context())
			probe.Method = method
			if _, pattern := mux.Handler(probe); strings.HasPrefix(pattern, method+" ") {
				allow = append(allow, method)
			}
		}
		if len(allow) == 0 {
			if _, err := a.authenticate(r.Context()); err != nil { // who is nobody learns no paths
				a.write(w, r, problemOf(err))
				return
			}
			a.write(w, r, notFound())
			return
		}
		p := newProblem(http.StatusMethodNotAllowed, "the path does not have this method")
		p.header = http.Header{"Allow": {strings.Join(allow, ", ")}}
		a.write(w, r, p)
	}
}

// measure makes the metrics of the API, or takes those that another handler of
// the same process registered.
func (a *api) measure() (err error) {
	if a.Metrics == nil {
		return nil
	}
	a.latency, err = registered(a.Metrics, prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "ticketgate_http_request_duration_seconds",
		Help:    "Time to answer a request of the API, but for streams.",
		Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
	}, []string{"operation", "code"}))
	if err != nil {
		return err
	}
	a.feed.open, err = registered(a.Metrics, prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "ticketgate_event_streams", Help: "Open streams of events.",
	}))
	return err
}

// registered registers a metric, or gives the one of its name that is
// registered.
func registered[T prometheus.Collector](registry prometheus.Registerer, metric T) (T, error) {
	err := registry.Register(metric)
	if known, ok := errors.AsType[prometheus.AlreadyRegisteredError](err); ok {
		if same, ok := known.ExistingCollector.(T); ok {
			return same, nil
		}
	}
	return metric, err
}

// observe counts a request under its class of code: 2xx, 4xx, 5xx.
func (a *api) observe(operation string, code int, took time.Duration) {
	if a.latency != nil {
		a.latency.WithLabelValues(operation, strconv.Itoa(code/100)+"xx").Observe(took.Seconds())
	}
}
