package message

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// TestCorpusBounces scores reports of sixty mail systems, 253 of whose full
// set have no machine-readable part, against what another project reads.
func TestCorpusBounces(t *testing.T) {
	dir := filepath.Join(corpusDir(t), "sisimai+go-sisimai")
	var set struct {
		Cases []struct {
			File  string
			Facts []struct {
				Status, Replycode, Reason string
				Hardbounce                bool
			}
		}
	}
	readJSON(t, filepath.Join(dir, "_expect", "bounce_facts.dev.json"), &set)
	var score struct{ told, all, class, classes, code, codes, count, quiet, others int }
	for _, c := range set.Cases {
		raw, err := os.ReadFile(filepath.Join(dir, c.File))
		if err != nil || len(c.Facts) == 0 {
			continue
		}
		m := Parse(raw)
		fact := c.Facts[0]
		switch fact.Reason {
		case "delivered", "vacation", "feedback":
			score.others++
			if failures(m.Bounce) == 0 {
				score.quiet++
			} else {
				t.Logf("told a failure: %s %s", filepath.Base(c.File), fact.Reason)
			}
			continue
		}
		score.all++
		if m.Bounce == nil {
			t.Logf("not told: %s %v %q", filepath.Base(c.File), m.From, m.Subject)
			continue
		}
		score.told++
		if len(m.Bounce.Recipients) == len(c.Facts) {
			score.count++
		}
		r := m.Bounce.Recipients[0]
		if fact.Status != "" {
			score.classes++
			if strings.HasPrefix(r.Status, fact.Status[:1]) || r.Status == "" && r.Permanent == (fact.Status[0] == '5') {
				score.class++
			}
		}
		if fact.Replycode != "" {
			score.codes++
			if strconv.Itoa(r.SMTPCode) == fact.Replycode {
				score.code++
			}
		}
	}
	t.Logf("%+v", score)
	if score.all < 200 || score.told < 274 || score.class < 265 || score.code < 158 || score.quiet < score.others {
		t.Errorf("worse than before: %+v", score)
	}
}

func failures(b *Bounce) int {
	n := 0
	if b != nil {
		for _, r := range b.Recipients {
			if r.Action == "failed" {
				n++
			}
		}
	}
	return n
}

// TestCorpusNoFalseBounces looks at mail that is no report: a ticket must not
// be lost because a mail looks like one.
func TestCorpusNoFalseBounces(t *testing.T) {
	seen := 0
	for _, file := range corpusMails(t) {
		if strings.Contains(file, "sisimai") || strings.Contains(file, "dsn") {
			continue
		}
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		seen++
		m := Parse(raw)
		report := strings.Contains(strings.ToLower(string(raw[:min(len(raw), 8192)])), "delivery-status") || strings.Contains(strings.ToLower(m.Header.Get("From")), "daemon")
		if m.Bounce != nil && !report {
			t.Errorf("%s is no report: %q %+v", filepath.Base(file), m.Subject, m.Bounce)
		}
		if m.Automatic.Is {
			t.Logf("%s: %s %q", filepath.Base(file), m.Automatic.Kind, m.Automatic.Reasons)
		}
	}
	t.Logf("%d mails", seen)
}
