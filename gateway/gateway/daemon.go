package gateway

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"ticketgate/gateway/api"
	"ticketgate/gateway/carddav"
	"ticketgate/gateway/webhook"
	"ticketgate/store"
)

// Options are what a Daemon gets beside its configuration. The zero value works.
type Options struct {
	Log     *slog.Logger   // nil: nothing is logged
	Level   *slog.LevelVar // of Log, for Reload; nil: the level stays
	Version string
	// Listeners are open already, by face, as systemd hands them in; they
	// stand in place of the configured ones of that face.
	Listeners map[string][]net.Listener
	Notify    func(state string) // tells the service manager; nil: nobody
	Watchdog  time.Duration      // how often the service manager wants to hear; 0: never
	Out       io.Writer          // what the first start has to say; nil: nowhere
	Now       func() time.Time
}

// Daemon is one serving process: all the parts, and the order of their begin
// and end. It is started once and stopped once.
type Daemon struct {
	config *Config
	opt    Options
	log    *slog.Logger

	metrics *metrics
	health  *health
	core    *Core
	hooks   *webhook.Service
	books   *carddav.Source         // nil: there is none
	certs   map[string]*certificate // by face
	web     []*webServer
	end     cleanup
	failed  chan error // the first listener that ended by itself

	mu    sync.Mutex // guards addrs
	addrs map[string][]net.Addr
}

// New makes a Daemon; it does nothing until Start.
func New(c *Config, opt Options) *Daemon {
	if opt.Log == nil {
		opt.Log = slog.New(slog.DiscardHandler)
	}
	if opt.Notify == nil {
		opt.Notify = func(string) {}
	}
	if opt.Out == nil {
		opt.Out = io.Discard
	}
	if opt.Now == nil {
		opt.Now = time.Now
	}
	return &Daemon{
		config: c, opt: opt, log: opt.Log, metrics: newMetrics(opt.Version),
		certs: map[string]*certificate{}, addrs: map[string][]net.Addr{}, failed: make(chan error, 1),
	}
}

// Start opens everything, and returns when mail and requests are served; then
// the service manager is told. ctx bounds the start alone. What a start that
// fails had begun is ended.
func (d *Daemon) Start(ctx context.Context) error {
	err := d.start(ctx)
	if err != nil {
		return errors.Join(err, d.end.run(ctx))
	}
	if err := d.writeAddresses(); err != nil {
		return errors.Join(err, d.end.run(ctx))
	}
	if d.core.Created {
		_, _ = io.WriteString(d.opt.Out, firstSteps(d.config, d.publicURL(nil))) // advice that nobody reads is no reason to stop
	}
	d.log.Info("serving", "version", d.opt.Version, "hostname", d.config.Hostname, "addresses", d.addresses(),
		"store", d.config.StoreURL, "redis", d.config.RedisURL, "smarthost", d.config.Outbound.Smarthost)
	d.opt.Notify("READY=1\nSTATUS=serving")
	return nil
}

func (d *Daemon) start(ctx context.Context) error {
	if err := d.readCertificates(); err != nil {
		return err
	}
	public, err := d.open(ctx, FaceHTTP, d.config.HTTP.Listen)
	if err != nil {
		return err
	}
	admin, err := d.open(ctx, FaceAdmin, d.config.AdminListen)
	if err != nil {
		return err
	}
	observed, err := d.open(ctx, FaceMetrics, d.config.MetricsListen)
	if err != nil {
		return err
	}
	if err := d.openCore(ctx, d.publicURL(public)); err != nil {
		return err
	}
	sending, err := d.startSending(ctx)
	if err != nil {
		return err
	}
	if err := d.openWebhooks(); err != nil {
		return err
	}
	if err := d.openBooks(); err != nil {
		return err
	}
	in := d.newIntake()
	d.end.push("web", d.stopWeb) // after the intake has drained: until then /readyz says so
	if err := d.startIntake(ctx, in); err != nil {
		return err
	}
	d.health = d.newHealth(sending)
	d.startJobs(in)
	return d.startWeb(web{public, admin, observed}, in, sending)
}

// Stop drains: no new transaction is taken, running ones end. What has not
// ended when ctx does is cut off; nothing that was answered is lost by that.
func (d *Daemon) Stop(ctx context.Context) error {
	d.opt.Notify("STOPPING=1\nSTATUS=draining")
	d.log.Info("shutting down")
	if d.health != nil {
		d.health.draining.Store(true)
	}
	d.removeAddresses()
	err := d.end.run(ctx)
	d.log.Info("stopped")
	return err
}

// Run starts, serves until ctx ends or a listener fails, and stops within
// shutdown_timeout. Transactions that had to be cut off are no error: their
// senders were told nothing, and send again.
func (d *Daemon) Run(ctx context.Context) error {
	if err := d.Start(ctx); err != nil {
		return err
	}
	var cause error
	select {
	case <-ctx.Done():
	case cause = <-d.failed:
		d.log.Error("a listener failed", "err", cause)
	}
	stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), d.config.ShutdownTimeout)
	defer cancel()
	err := d.Stop(stopping)
	if errors.Is(err, context.DeadlineExceeded) {
		d.log.Warn("not everything ended in time", "err", err)
		err = nil
	}
	return errors.Join(cause, err)
}

// Addr gives the first address of a face, nil where it has none: before Start,
// or for a face that is not configured.
func (d *Daemon) Addr(face string) net.Addr {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.addrs[face]) == 0 {
		return nil
	}
	return d.addrs[face][0]
}

// Reload takes the log level of a fresh configuration, and reads the
// certificates again; where that fails the old ones stay in use.
func (d *Daemon) Reload(c *Config) error {
	if d.opt.Level != nil {
		d.opt.Level.Set(c.Level())
	}
	var failed error
	for face, cert := range d.certs {
		if cert == nil {
			continue
		}
		if err := cert.reload(); err != nil {
			failed = errors.Join(failed, fmt.Errorf("%s.tls_cert: %w", face, err))
		}
	}
	return failed
}

func (d *Daemon) readCertificates() error {
	for face, files := range map[string]CertificateFiles{FaceHTTP: d.config.HTTP.TLS, FaceLMTP: d.config.LMTP.TLS} {
		cert, err := newCertificate(files)
		if err != nil {
			return fmt.Errorf("%s.tls_cert: %w", face, err)
		}
		d.certs[face] = cert
	}
	return nil
}

// open gives the listeners of an HTTP face, which are closed at the end.
func (d *Daemon) open(ctx context.Context, face string, where []Address) ([]net.Listener, error) {
	listeners := d.opt.Listeners[face]
	if len(listeners) == 0 {
		var err error
		if listeners, err = listen(ctx, where); err != nil {
			return nil, fmt.Errorf("%s.listen: %w", face, err)
		}
	}
	for _, l := range listeners {
		d.end.pushClose(face+" listener", func() error {
			if err := l.Close(); !errors.Is(err, net.ErrClosed) {
				return err
			}
			return nil // its server closed it
		})
		d.heard(face, l.Addr())
	}
	return listeners, nil
}

// heard remembers an address.
func (d *Daemon) heard(face string, addrs ...net.Addr) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.addrs[face] = append(d.addrs[face], addrs...)
}

// publicURL gives what links begin with.
func (d *Daemon) publicURL(listeners []net.Listener) string {
	if d.config.HTTP.PublicURL != "" {
		return d.config.HTTP.PublicURL
	}
	if listeners == nil {
		return originOf(d.config.HTTP.TLS.Enabled(), d.Addr(FaceHTTP))
	}
	return originOf(d.config.HTTP.TLS.Enabled(), listeners[0].Addr())
}

func (d *Daemon) openCore(ctx context.Context, publicURL string) (err error) {
	d.core, err = OpenCore(ctx, d.config, CoreOptions{
		Log: d.log, Exclusive: true, PublicURL: publicURL, Now: d.opt.Now,
		Observe: d.metrics.committed,
		Lookup: func(kind, result string) {
			d.metrics.dns.WithLabelValues(closed(dnsKinds, kind), closed(dnsResults, result)).Inc()
		},
		Ruled:    d.metrics.ruled,
		AskedCRM: func(result string) { d.metrics.crm.WithLabelValues(closed(crmResults, result)).Inc() },
	})
	if err != nil {
		return err
	}
	d.end.pushClose("store", d.core.Close)
	return nil
}

// startJobs runs what goes on in the background until the end.
func (d *Daemon) startJobs(in *intake) {
	ctx, cancel := context.WithCancel(context.Background())
	var jobs sync.WaitGroup
	d.end.push("background jobs", func(stop context.Context) error {
		cancel()
		ended := make(chan struct{})
		go func() { defer close(ended); jobs.Wait() }()
		select {
		case <-ended:
			return nil
		case <-stop.Done():
			return stop.Err()
		}
	})
	again := &rechecker{db: d.core.DB, intake: in, every: d.config.DNS.Recheck, now: d.opt.Now, log: d.log}
	jobs.Go(func() { again.run(ctx) })
	if d.core.CRM != nil {
		jobs.Go(func() { lookUpContacts(ctx, d.core.Threading, d.log) })
	}
	jobs.Go(func() { readBooks(ctx, d.books, d.log) })
	jobs.Go(func() { runTimeRules(ctx, d.core.Threading, d.log) })
	jobs.Go(func() { d.hooks.Run(ctx) })
	jobs.Go(func() { keepTime(ctx, d.core.Threading, d.log) })
	jobs.Go(func() { sendDigests(ctx, d.core.Threading, d.log) })
	jobs.Go(func() {
		tidy(ctx, d.core.DB, retention{events: d.config.EventsDays, audit: d.config.AuditDays}, d.opt.Now, d.log)
	})
	jobs.Go(func() { activateKeys(ctx, d.core, d.opt.Now, d.log) })
	if d.opt.Watchdog > 0 {
		jobs.Go(func() {
			for wait(ctx, d.opt.Watchdog/2) {
				d.opt.Notify("WATCHDOG=1")
			}
		})
	}
}

// newHealth gathers what must work and what should.
func (d *Daemon) newHealth(s *sending) *health {
	h := &health{metrics: d.metrics, helpful: s.checks()}
	h.needed = append(h.needed, storeCheck(d.core.DB))
	for part, folder := range d.config.folders() {
		h.needed = append(h.needed, diskCheck(part, folder))
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, face := range faces {
		for _, a := range d.addrs[face] {
			h.needed = append(h.needed, listenerCheck(face, a))
		}
	}
	return h
}

// web is the listeners of the HTTP faces.
type web struct {
	public, admin, observed []net.Listener
}

// startWeb serves the API and the metrics. Where admins have a listener of their
// own it has the whole API, and the public one leaves out what is for them.
func (d *Daemon) startWeb(on web, in *intake, s *sending) error {
	drain := make(chan struct{})
	// The last step, and so the first to be ended: a stream has no end of its
	// own that could be waited for.
	d.end.pushClose("event streams", func() error { close(drain); return nil })
	options := d.apiOptions(in, s, drain)
	d.serve(FaceMetrics, metricsHandler(d.metrics, d.health), on.observed, nil)
	if len(on.admin) > 0 {
		whole := options
		whole.PublicURL = originOf(d.config.HTTP.TLS.Enabled(), on.admin[0].Addr())
		if err := d.serveAPI(FaceAdmin, whole, on.admin); err != nil {
			return err
		}
		options.HideAdmin = true
	}
	return d.serveAPI(FaceHTTP, options, on.public)
}

func (d *Daemon) serveAPI(face string, options api.Options, listeners []net.Listener) error {
	handler, err := api.New(options)
	if err != nil {
		return err
	}
	page := newPage(d.core.DB, d.health, d.opt.Version)
	https := strings.HasPrefix(options.PublicURL, "https:")
	d.serve(face, publicHandler(handler, d.health, page, https), listeners, d.certs[FaceHTTP])
	return nil
}

func (d *Daemon) serve(face string, handler http.Handler, listeners []net.Listener, cert *certificate) {
	server := newWebServer(handler, listeners, cert, d.log)
	server.serve(func(err error) {
		select {
		case d.failed <- fmt.Errorf("%s listener: %w", face, err):
		default: // another one was first
		}
	})
	d.web = append(d.web, server)
}

func (d *Daemon) stopWeb(ctx context.Context) error {
	var failed error
	for _, server := range d.web {
		failed = errors.Join(failed, server.stop(ctx))
	}
	return failed
}

func (d *Daemon) apiOptions(in *intake, s *sending, drain <-chan struct{}) api.Options {
	explainer := &Explainer{intake: in}
	opt := api.Options{
		DB: d.core.DB, Seal: d.core.Seal, AllowedOrigins: d.config.HTTP.AllowedOrigins, TrustedProxies: d.config.HTTP.TrustedProxies,
		Desk: d.core.Threading, Queued: s.service.Queued, Removed: s.service.Removed,
		Explain: func(ctx context.Context, raw []byte, to, from string) (any, error) {
			return explainer.Explain(ctx, raw, to, from)
		},
		Release: func(ctx context.Context, agent *store.Agent, id string) (store.Ticket, error) {
			return in.release(ctx, d.core.DB, agent, id)
		},
		HandIn: in.handIn, Webhooks: d.hooks,
		NewKey: d.core.NewKey, KeyRecord: recordOf,
		MaxMessageBytes: d.config.LMTP.MaxMessageBytes, Composed: d.core.composed, Events: api.EventOptions{Done: drain},
		Hostname: d.config.Hostname, PublicURL: d.publicURL(nil), Version: d.opt.Version, Timezone: d.config.TimeZone, Now: d.opt.Now, Log: d.log, Metrics: d.metrics.registry,
	}
	if d.config.OIDC.Issuer != "" {
		opt.OIDC = newOIDC(d.config, d.publicURL(nil), d.opt.Now)
	}
	return opt
}
