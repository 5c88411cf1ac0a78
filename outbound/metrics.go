package outbound

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"ticketgate/store"
)

// metrics are the service's; what is counted elsewhere (ledger, queue) is asked
// for at each scrape.
type metrics struct {
	registry prometheus.Registerer // may be nil
	service  *Service

	attempts *prometheus.CounterVec
	unsigned prometheus.Counter
	alarms   prometheus.Counter

	deliveries, queue, oldest, redisUp, smarthostUp *prometheus.Desc
}

func newMetrics(s *Service, registry prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		registry: registry, service: s,
		attempts: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "ticketgate_outbound_attempts_total",
			Help: "Attempts to deliver a mail, by the class of the reply (none: there was none).",
		}, []string{"code"}),
		unsigned: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "ticketgate_outbound_unsigned_total",
			Help: "Mails that left without a DKIM signature because their domain has no active key.",
		}),
		alarms: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "ticketgate_outbound_alarms_total",
			Help: "Troubles that a person has to look at: signing, log-in at the smarthost, TLS.",
		}),
		deliveries: prometheus.NewDesc("ticketgate_outbound_deliveries",
			"Deliveries in the ledger that are not sent or cancelled, by state.", []string{"state"}, nil),
		queue: prometheus.NewDesc("ticketgate_outbound_queue_entries",
			"Entries of the queue, waiting and leased, and deliveries that wait in the ledger only.", []string{"place"}, nil),
		oldest: prometheus.NewDesc("ticketgate_outbound_oldest_seconds",
			"Age of the oldest delivery that waits.", nil, nil),
		redisUp: prometheus.NewDesc("ticketgate_redis_up",
			"Whether the queue can be reached.", nil, nil),
		smarthostUp: prometheus.NewDesc("ticketgate_smarthost_up",
			"Whether the smarthost could be talked to at the last try.", nil, nil),
	}
	if registry == nil {
		return m, nil
	}
	return m, registry.Register(m)
}

func (m *metrics) unregister() {
	if m.registry != nil {
		m.registry.Unregister(m)
	}
}

// Describe is part of prometheus.Collector.
func (m *metrics) Describe(ch chan<- *prometheus.Desc) {
	m.attempts.Describe(ch)
	m.unsigned.Describe(ch)
	m.alarms.Describe(ch)
	for _, d := range []*prometheus.Desc{m.deliveries, m.queue, m.oldest, m.redisUp, m.smarthostUp} {
		ch <- d
	}
}

// Collect is part of prometheus.Collector. It takes at most two seconds.
func (m *metrics) Collect(ch chan<- prometheus.Metric) {
	m.attempts.Collect(ch)
	m.unsigned.Collect(ch)
	m.alarms.Collect(ch)
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	gauge := func(d *prometheus.Desc, value float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
	}
	st := m.service.Status(ctx)
	gauge(m.redisUp, truth(st.QueueOK))
	gauge(m.smarthostUp, truth(st.SmarthostOK))
	if st.QueueOK {
		gauge(m.queue, float64(st.Waiting), "waiting")
		gauge(m.queue, float64(st.Leased), "leased")
	}
	counts, oldest, err := m.service.ledgerCounts(ctx)
	if err != nil {
		return
	}
	gauge(m.queue, float64(st.LedgerOnly), "ledger_only")
	for _, state := range []store.DeliveryState{store.Queued, store.Sending, store.Deferred, store.Unknown, store.Held, store.Failure} {
		gauge(m.deliveries, float64(counts[state]), string(state))
	}
	age := 0.0
	if !oldest.IsZero() {
		age = max(0, m.service.opt.Now().Sub(oldest).Seconds()) // all that waits may be for later
	}
	gauge(m.oldest, age)
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
