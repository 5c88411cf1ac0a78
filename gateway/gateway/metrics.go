package gateway

import (
	"runtime"
	"slices"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"ticketgate/gateway/crm"
	"ticketgate/gateway/webhook"
	"ticketgate/store"
)

// The stages of the intake that are timed.
const (
	stageReceive = "receive"
	stageParse   = "parse"
	stageVerify  = "verify"
	stageMatch   = "match" // match and commit of one mail: what Take needs
	stageCommit  = "commit"
)

// metrics are what the daemon counts, on a registry of its own. Labels come
// from closed sets, and every pair is there from the start: an alert on an
// increase sees the first one.
type metrics struct {
	registry    *prometheus.Registry
	deliveries  *prometheus.CounterVec
	stages      *prometheus.HistogramVec
	batch       prometheus.Histogram
	size        prometheus.Histogram
	connections *prometheus.GaugeVec
	turnedAway  *prometheus.CounterVec
	aborted     *prometheus.CounterVec
	dkim        *prometheus.CounterVec
	verdicts    *prometheus.CounterVec
	matches     *prometheus.CounterVec
	outcomes    *prometheus.CounterVec
	dns         *prometheus.CounterVec
	rechecks    *prometheus.CounterVec
	crm         *prometheus.CounterVec
	bookRounds  *prometheus.CounterVec
	bookCards   *prometheus.CounterVec
	rules       *prometheus.CounterVec
	webhooks    *prometheus.CounterVec
	degraded    *prometheus.GaugeVec
}

// The closed sets of label values.
var (
	faces        = []string{FaceLMTP, FaceSMTP}
	stages       = []string{stageReceive, stageParse, stageVerify, stageMatch, stageCommit}
	replyCodes   = map[string][]int{"ok": {250}, "deferred": {421, 450, 451, 452}, "refused": {550, 552, 553, 554}}
	dkimResults  = []string{"none", "pass", "fail", "policy", "neutral", "temperror", "permerror"}
	verdicts     = []store.Verdict{store.Verified, store.Unverified, store.Failed, store.AuthError}
	matchSignals = []string{"none", "envelope_token", "reference_token", "tag", "foreign_number", "reference", "named", "bare_reference", "text_tag", "other"}
	outcomes     = []string{"append", "new", "hold", "quarantine", "bounce", "duplicate"}
	dnsKinds     = []string{"cache", "query"}
	hookResults  = []string{webhook.ResultDelivered, webhook.ResultFailed}
	crmResults   = []string{crm.ResultFound, crm.ResultNotFound, crm.ResultCached, crm.ResultOpen, crm.ResultFailed}
	ruleResults  = []store.RuleResult{store.RuleMatched, store.RuleUnmatched, store.RuleFailed, store.RuleOverLimit}
	dnsResults   = []string{"ok", "not_found", "refused", "temporary"}
)

// newMetrics makes and registers everything.
func newMetrics(version string) *metrics {
	m := &metrics{registry: prometheus.NewRegistry()}
	m.registry.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	m.gauge("build_info", "The program that runs; always 1.", "version", "goversion").WithLabelValues(version, runtime.Version()).Set(1)
	m.deliveries = m.counter("deliveries_total", "Answers to recipients, by result and reply code.", "result", "code")
	m.stages = m.histogram("stage_duration_seconds", "Time of one mail in each stage of the intake.", durationBuckets, "stage")
	m.batch = m.histogram("commit_batch_size", "Transactions in one commit.", prometheus.ExponentialBuckets(1, 2, 9)).WithLabelValues().(prometheus.Histogram)
	m.size = m.histogram("message_size_bytes", "Size of the mails taken in.", prometheus.ExponentialBuckets(1024, 4, 9)).WithLabelValues().(prometheus.Histogram)
	m.connections = m.gauge("connections", "Open connections of the intake.", "listener")
	m.turnedAway = m.counter("connections_refused_total", "Clients turned away.", "listener", "reason")
	m.aborted = m.counter("transfers_aborted_total", "Transfers without a proper end.", "listener", "reason")
	m.dkim = m.counter("dkim_results_total", "Signatures checked, by result.", "result")
	m.verdicts = m.counter("verdicts_total", "Mails, by who wrote them.", "verdict")
	m.matches = m.counter("matches_total", "Recipients filed, by the signal that found the ticket.", "signal")
	m.outcomes = m.counter("outcomes_total", "Recipients filed, by what became of the mail.", "outcome")
	m.dns = m.counter("dns_lookups_total", "Look-ups in the DNS, by where the answer came from.", "kind", "result")
	m.rechecks = m.counter("dns_rechecks_total", "Mails looked up again after a DNS failure.", "result")
	m.crm = m.counter("crm_lookups_total", "Look-ups in the outside CRM, by what came of them.", "result")
	m.bookRounds = m.counter("carddav_rounds_total", "Readings of the address books, by how they ended.", "result")
	m.bookCards = m.counter("carddav_cards_total", "Cards of address books that were new or changed, by what became of them.", "result")
	m.rules = m.counter("rules_total", "Looks of rules at mail and tickets, by what came of them.", "result")
	m.webhooks = m.counter("webhook_attempts_total", "Messages to webhooks, each time one is sent, by what came of it.", "result")
	m.degraded = m.gauge("degraded", "1 while a part that is not needed to take mail does not work.", "part")
	m.zero()
	return m
}

var durationBuckets = []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10}

func (m *metrics) counter(name, help string, labels ...string) *prometheus.CounterVec {
	v := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "ticketgate_" + name, Help: help}, labels)
	m.registry.MustRegister(v)
	return v
}

func (m *metrics) gauge(name, help string, labels ...string) *prometheus.GaugeVec {
	v := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "ticketgate_" + name, Help: help}, labels)
	m.registry.MustRegister(v)
	return v
}

func (m *metrics) histogram(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
	v := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "ticketgate_" + name, Help: help, Buckets: buckets}, labels)
	m.registry.MustRegister(v)
	return v
}

// zero makes every pair of labels appear.
func (m *metrics) zero() {
	for result, codes := range replyCodes {
		for _, code := range codes {
			m.deliveries.WithLabelValues(result, strconv.Itoa(code))
		}
	}
	for _, s := range stages {
		m.stages.WithLabelValues(s)
	}
	for _, f := range faces {
		m.connections.WithLabelValues(f)
		for _, reason := range []string{"busy", "not_allowed", "draining"} {
			m.turnedAway.WithLabelValues(f, reason)
		}
		for _, reason := range []string{"closed", "timeout"} {
			m.aborted.WithLabelValues(f, reason)
		}
	}
	for _, r := range dkimResults {
		m.dkim.WithLabelValues(r)
	}
	for _, v := range verdicts {
		m.verdicts.WithLabelValues(string(v))
	}
	for _, s := range matchSignals {
		m.matches.WithLabelValues(s)
	}
	for _, o := range outcomes {
		m.outcomes.WithLabelValues(o)
	}
	for _, k := range dnsKinds {
		for _, r := range dnsResults {
			m.dns.WithLabelValues(k, r)
		}
	}
	for _, r := range []string{"answered", "failed"} {
		m.rechecks.WithLabelValues(r)
	}
	for _, r := range crmResults {
		m.crm.WithLabelValues(r)
	}
	for _, r := range bookResults {
		m.bookRounds.WithLabelValues(r)
	}
	for _, r := range cardResults {
		m.bookCards.WithLabelValues(r)
	}
	for _, r := range ruleResults {
		m.rules.WithLabelValues(string(r))
	}
	for _, r := range hookResults {
		m.webhooks.WithLabelValues(r)
	}
	for _, p := range degradable {
		m.degraded.WithLabelValues(p)
	}
}

// delivered counts an answer to a recipient; a code outside the table would be
// an unbounded label, so it counts as the class's first.
func (m *metrics) delivered(result string, code int) {
	known := replyCodes[result]
	if len(known) == 0 {
		return
	}
	if !slices.Contains(known, code) {
		code = known[0]
	}
	m.deliveries.WithLabelValues(result, strconv.Itoa(code)).Inc()
}

// signal counts by what signal a ticket was found.
func (m *metrics) signal(by string) {
	m.matches.WithLabelValues(closed(matchSignals, or(by, "none"))).Inc()
}

// closed gives a label out of its set; what is not in it counts as the last.
func closed(set []string, label string) string {
	if slices.Contains(set, label) {
		return label
	}
	return set[len(set)-1]
}

// ruled counts a look of a rule.
func (m *metrics) ruled(result store.RuleResult) { m.rules.WithLabelValues(string(result)).Inc() }

// took times a stage.
func (m *metrics) took(stage string, d time.Duration) {
	m.stages.WithLabelValues(stage).Observe(d.Seconds())
}

// committed is the store's observer of group commits.
func (m *metrics) committed(batch int, d time.Duration) {
	m.batch.Observe(float64(batch))
	m.took(stageCommit, d)
}
