// Package api is the desk's HTTP API: what agents, admins and programs say to
// ticketgate under /api/v1, with its description at /api/v1/openapi.json and a
// page for people at /api/docs.
//
// Each request passes the same gates in the same order, whatever it asks for:
// who is it (401), is the thing there for him (404), may his role do that
// (403), is the body of the right type (415), size (413) and syntax (400), and
// only then what it says (422), whether the state allows it (409) and whether
// he looked at the present version (412). See guard.
package api

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/netip"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
	"github.com/prometheus/client_golang/prometheus"

	"ticketgate/gateway/login"
	"ticketgate/store"
	"ticketgate/threading"
)

// Prefix is where the paths of the API begin.
const Prefix = "/api/v1"

// Options are the parts that the API talks to.
type Options struct {
	DB   *store.DB // required
	Desk desk      // required: *threading.Service
	// Explain decides on a mail without storing anything; what it returns is
	// the JSON document of the answer. Nil: explain answers 503.
	Explain func(ctx context.Context, raw []byte, to, from string) (any, error)
	// Release makes a ticket of a quarantined mail. Nil: it answers 503.
	Release func(ctx context.Context, agent *store.Agent, quarantineID string) (store.Ticket, error)
	// HandIn files a mail that an agent holds. Nil: it answers 503.
	HandIn func(ctx context.Context, agent *store.Agent, raw []byte, account string, ticket int64) (threading.Result, error)
	// Queued is told which deliveries are to be in the queue after a retry or
	// a release. It must return soon and may be nil.
	Queued func(ctx context.Context, due []store.Due)
	// Removed is told which deliveries are to leave the queue after a hold or a
	// cancel. It must return soon and may be nil.
	Removed func(ctx context.Context, ids ...string)
	// NewKey makes a DKIM key of its domain, selector and algorithm, its
	// private half sealed. Nil: making keys answers 503.
	NewKey func(domain, selector, algorithm string) (store.DKIMKey, error)
	// KeyRecord gives the zone-file line of a key. Nil: no record is shown.
	KeyRecord func(store.DKIMKey) string
	// Webhooks makes secrets of webhooks and tests them: *webhook.Service. Nil:
	// there are no webhooks.
	Webhooks        webhooks
	MaxMessageBytes int64 // what the intake takes; 0: 70 MiB
	// Composed gives the message of an outgoing activity as it leaves, unsigned;
	// nil: it is not shown.
	Composed  func(ctx context.Context, activityID string) ([]byte, error)
	Events    EventOptions
	Seal      *store.Sealer // required: of second factors, and of what a browser keeps for us
	Passwords passwords     // nil: *login.Passwords
	OIDC      provider      // *login.OIDC; nil: its paths are not there
	// AllowedOrigins are those of connected UIs on other hosts, such as
	// https://ui.example.org. All others get no access by a browser.
	AllowedOrigins []string
	// TrustedProxies are the networks whose X-Forwarded-For is believed.
	TrustedProxies []netip.Prefix
	Hostname       string                // our authserv-id (RFC 8601)
	PublicURL      string                // without a slash at its end
	Version        string                // of the program, for the description
	HideAdmin      bool                  // leave out the operations tagged admin: another listener has them
	Timezone       *time.Location        // the desk's: when its days begin; nil: UTC
	Now            func() time.Time      // nil: time.Now
	Log            *slog.Logger          // nil: nothing is logged
	Metrics        prometheus.Registerer // nil: nothing is counted
}

// api is the handler's state. It is not changed after New.
type api struct {
	Options
	huma    huma.API
	latency *prometheus.HistogramVec
	feed    *feed
	origins *origins
	routes  []route
}

// New builds the handler of /api/. It is safe for concurrent use and needs no
// closing: what streams of events start ends with the last of them.
func New(opt Options) (http.Handler, error) {
	if opt.DB == nil || opt.Desk == nil || opt.Seal == nil {
		return nil, errors.New("the API needs a store, a desk and a sealer")
	}
	if opt.Passwords == nil {
		opt.Passwords = login.NewPasswords()
	}
	origins, err := newOrigins(opt.PublicURL, opt.AllowedOrigins)
	if err != nil {
		return nil, err
	}
	if opt.Now == nil {
		opt.Now = time.Now
	}
	if opt.Timezone == nil {
		opt.Timezone = time.UTC
	}
	if opt.Log == nil {
		opt.Log = slog.New(slog.DiscardHandler)
	}
	opt.Events.complete()
	a := &api{Options: opt, origins: origins, feed: &feed{
		db: opt.DB, log: opt.Log, poll: opt.Events.Poll, most: opt.Events.PerAgent, listeners: map[*listener]struct{}{},
	}}
	if err := a.measure(); err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	a.huma = humago.NewWithPrefix(mux, Prefix, a.config())
	a.register()
	if err := a.describe(mux); err != nil {
		return nil, err
	}
	mux.HandleFunc("/", a.elsewhere(mux))
	return a.outer(mux), nil
}

// register adds all the operations.
func (a *api) register() {
	a.registerMe()
	a.registerLogin()
	a.registerOIDC()
	a.registerSessions()
	a.registerMyLogin()
	a.registerAudit()
	a.registerTickets()
	a.registerCounts()
	a.registerExport()
	a.registerBulk()
	a.registerTicketActions()
	a.registerWatchers()
	a.registerTimes()
	a.registerTicketFiles()
	a.registerActivities()
	a.registerFindActivities()
	a.registerFiles()
	a.registerUploads()
	a.registerDrafts()
	a.registerViews()
	a.registerChannels()
	a.registerSubscriptions()
	a.registerStatuses()
	a.registerMarkers()
	a.registerTemplates()
	a.registerCustomFields()
	a.registerLevels()
	a.registerReports()
	a.registerRules()
	a.registerAccounts()
	a.registerAgents()
	a.registerContacts()
	a.registerCompanies()
	a.registerTokens()
	a.registerKeys()
	a.registerWebhooks()
	a.registerDeliveries()
	a.registerQuarantine()
	a.registerExplain()
	a.registerMessages()
	a.registerEvents()
	a.registerEventsToken()
}

// config describes the API to huma. Its own pages stay off: the documentation
// page would load a script from another host.
func (a *api) config() huma.Config {
	registry := huma.NewMapRegistry("#/components/schemas/", huma.DefaultSchemaNamer)
	c := huma.Config{
		OpenAPI: &huma.OpenAPI{
			OpenAPI: "3.1.0",
			Info:    &huma.Info{Title: "ticketgate", Version: a.Version, Description: description},
			Servers: []*huma.Server{{URL: a.PublicURL + Prefix}},
			Components: &huma.Components{
				Schemas: registry,
				SecuritySchemes: map[string]*huma.SecurityScheme{
					"token":   {Type: "http", Scheme: "bearer"},
					"session": {Type: "apiKey", In: "cookie", Name: a.origins.cookieName(sessionCookie)},
				},
			},
			Security: []map[string][]string{{"token": {}}, {"session": {}}},
			Tags: []*huma.Tag{
				{Name: tagAdmin, Description: "What sets the desk up; for admins."},
				{Name: tagDesk, Description: "What agents do; each sees the channels that he is subscribed to."},
			},
		},
		Formats:      map[string]huma.Format{"application/json": huma.DefaultJSONFormat, "json": huma.DefaultJSONFormat},
		Transformers: []huma.Transformer{a.plainProblem},
	}
	c.DefaultFormat = "application/json"
	c.FieldsOptionalByDefault = true
	c.RejectUnknownQueryParameters = true
	return c
}

const description = "Errors are RFC 9457 problem documents. Lists answer {items, next} and take limit and cursor. " +
	"Times are RFC 3339 in UTC. A PATCH is a JSON Merge Patch: null clears. Every POST may carry an Idempotency-Key."
