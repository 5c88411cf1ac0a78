package gateway

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"ticketgate/store"
)

// The parts that mail is taken without, if need be.
const (
	partRedis     = "redis"
	partSmarthost = "smarthost"
)

var degradable = []string{partRedis, partSmarthost}

// fault is one part that does not work.
type fault struct {
	Part   string `json:"part"`
	Reason string `json:"reason"`
}

// readiness is the body of /readyz.
type readiness struct {
	Ready    bool    `json:"ready"`
	Draining bool    `json:"draining"`
	Faults   []fault `json:"faults"`   // why no mail would be taken now
	Degraded []fault `json:"degraded"` // what does not work, while mail is taken all the same
}

// check finds whether a part works; the error's text is shown to whoever asks.
type check struct {
	part  string
	probe func(ctx context.Context) error
}

// health tells whether a mail would be taken now. Its findings are kept for a
// moment, so that asking often costs little.
type health struct {
	needed   []check // without these no mail is taken
	helpful  []check
	metrics  *metrics
	draining atomic.Bool

	mu   sync.Mutex // held while looking: others wait for what is found
	seen readiness
	at   time.Time
}

const (
	healthKept    = time.Second
	healthTimeout = 3 * time.Second
)

// ready looks, or gives what was seen a moment ago.
func (h *health) ready(ctx context.Context) readiness {
	if h.draining.Load() {
		return readiness{Draining: true, Faults: []fault{{"daemon", "it is shutting down"}}, Degraded: []fault{}}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if time.Since(h.at) < healthKept {
		return h.seen
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), healthTimeout)
	defer cancel()
	h.seen = readiness{Faults: failing(ctx, h.needed), Degraded: failing(ctx, h.helpful)}
	h.seen.Ready = len(h.seen.Faults) == 0
	for _, c := range h.helpful {
		h.metrics.degraded.WithLabelValues(c.part).Set(0)
	}
	for _, f := range h.seen.Degraded {
		h.metrics.degraded.WithLabelValues(f.Part).Set(1)
	}
	h.at = time.Now()
	return h.seen
}

// failing runs checks side by side and gives what is wrong, in their order.
func failing(ctx context.Context, checks []check) []fault {
	errs := make([]error, len(checks))
	var all sync.WaitGroup
	for i, c := range checks {
		all.Go(func() { errs[i] = c.probe(ctx) })
	}
	all.Wait()
	faults := []fault{}
	for i, err := range errs {
		if err != nil {
			faults = append(faults, fault{checks[i].part, err.Error()})
		}
	}
	return faults
}

// serveHealthz answers while the process lives.
func serveHealthz(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = w.Write([]byte("ok\n")) // who asks may be gone
}

// serveReadyz tells whether mail would be taken.
func (h *health) serveReadyz(w http.ResponseWriter, r *http.Request) {
	seen := h.ready(r.Context())
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	if !seen.Ready {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	_ = json.NewEncoder(w).Encode(seen) // who asks may be gone
}

// storeCheck asks the database. What it says stays in the log: it may hold
// names that are nobody's business.
func storeCheck(db *store.DB) check {
	return check{"store", func(ctx context.Context) error {
		if err := db.Ping(ctx); err != nil {
			return fmt.Errorf("the database does not answer")
		}
		return nil
	}}
}

// leastFree is the room that a disk must have: a few large mails.
const leastFree = 64 << 20

// diskCheck looks for room in a folder, and whether it can be written to.
func diskCheck(part, folder string) check {
	return check{part, func(context.Context) error {
		var stat syscall.Statfs_t
		if err := syscall.Statfs(folder, &stat); err != nil {
			return fmt.Errorf("the folder cannot be reached")
		}
		if free := stat.Bavail * uint64(stat.Bsize); free < leastFree {
			return fmt.Errorf("only %d MiB are free", free>>20)
		}
		f, err := os.CreateTemp(folder, ".writable-*")
		if err != nil {
			return fmt.Errorf("the folder cannot be written to")
		}
		defer func() { _ = os.Remove(f.Name()) }()
		return f.Close()
	}}
}

// listenerCheck knocks at a listener of ours.
func listenerCheck(part string, where net.Addr) check {
	return check{part, func(ctx context.Context) error {
		conn, err := new(net.Dialer).DialContext(ctx, where.Network(), where.String())
		if err != nil {
			return fmt.Errorf("the listener at %s does not answer", where)
		}
		return conn.Close()
	}}
}

// folders are where the store and the blobs of a configuration lie on disk.
func (c *Config) folders() map[string]string {
	found := map[string]string{"disk": c.DataDir}
	if c.StoreURL.Scheme() == "sqlite" {
		found["disk"] = filepath.Dir(c.StoreURL.Rest())
	}
	if c.BlobURL.Scheme() == "file" {
		found["blobs"] = c.BlobURL.Rest()
	}
	return found
}
