package main

import (
	"cmp"
	"slices"
	"time"
)

// percentile gives the value that share (0 to 1) of the sorted values do not
// exceed: nearest rank, so always one that was measured. Of nothing it is zero.
func percentile(sorted []time.Duration, share float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	rank := int(share * float64(len(sorted)))
	if float64(rank) < share*float64(len(sorted)) {
		rank++
	}
	return sorted[min(max(rank, 1), len(sorted))-1]
}

// median gives the middle value, of two the mean. Of nothing it is zero.
func median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	middle := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[middle]
	}
	return (sorted[middle-1] + sorted[middle]) / 2
}

// row sums up what one target did with one number of sessions: medians over the
// rounds, and counts over all of them.
type row struct {
	Target      string  `json:"target"`
	Sessions    int     `json:"sessions"`
	Rounds      int     `json:"rounds"`
	Sent        int     `json:"sent"`
	Failed      int     `json:"failed"`
	Complaint   string  `json:"first_failure,omitempty"`
	PerSecond   float64 `json:"messages_per_second"`
	Ratio       float64 `json:"ratio"` // of messages a second to the limit's, median of the ratios of the rounds
	P50         float64 `json:"p50_ms"`
	P99         float64 `json:"p99_ms"`
	CPU         float64 `json:"cpu_us_per_message"`
	DatabaseCPU float64 `json:"database_cpu_us_per_message"`
}

// peak is the most memory that a target held, over the whole run.
type peak struct {
	Target   string `json:"target"`
	Own      int64  `json:"rss_bytes"`
	Database int64  `json:"database_rss_bytes"`
}

// result is what a run found.
type result struct {
	Limit string `json:"limit"`
	Rows  []row  `json:"rows"`
	Peaks []peak `json:"peaks"`
}

// rate is messages a second.
func (m *measurement) rate() float64 {
	if m.took <= 0 {
		return 0
	}
	return float64(m.sent) / m.took.Seconds()
}

// summarise makes a row of the rounds of a target; limit are those of the limit,
// in the same order.
func summarise(name string, sessions int, rounds, limit []measurement) row {
	r := row{Target: name, Sessions: sessions, Rounds: len(rounds)}
	var rates, ratios, p50, p99, cpu, database []float64
	for i := range rounds {
		m := &rounds[i]
		r.Sent += m.sent
		r.Failed += m.failed
		r.Complaint = cmp.Or(r.Complaint, m.complaint)
		rates = append(rates, m.rate())
		if base := limit[i].rate(); base > 0 {
			ratios = append(ratios, m.rate()/base)
		}
		replies := slices.Sorted(slices.Values(m.replies))
		p50 = append(p50, milliseconds(percentile(replies, 0.50)))
		p99 = append(p99, milliseconds(percentile(replies, 0.99)))
		if m.sent > 0 {
			cpu = append(cpu, microseconds(m.cpu)/float64(m.sent))
			database = append(database, microseconds(m.dbCPU)/float64(m.sent))
		}
	}
	r.PerSecond, r.Ratio = median(rates), median(ratios)
	r.P50, r.P99 = median(p50), median(p99)
	r.CPU, r.DatabaseCPU = median(cpu), median(database)
	return r
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
func microseconds(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }
