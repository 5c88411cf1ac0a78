package threading

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

var matchTime = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// TestDecide runs testdata/decide.txt, which reads like the contract: what is
// known of the sender, of the mail and of each ticket that it names, and what
// follows.
func TestDecide(t *testing.T) {
	file, err := os.Open("testdata/decide.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	rows := 0
	scanner := bufio.NewScanner(file)
	for n := 1; scanner.Scan(); n++ {
		row := strings.TrimSpace(scanner.Text())
		if row == "" || strings.HasPrefix(row, "#") {
			continue
		}
		rows++
		given, want, ok := strings.Cut(row, "->")
		if !ok {
			t.Fatalf("line %d has no ->", n)
		}
		facts := parseFacts(t, n, given)
		if got := describe(Decide(facts)); got != strings.Join(strings.Fields(want), " ") {
			t.Errorf("line %d: %s\n got %s\nwant %s", n, strings.TrimSpace(given), got, strings.TrimSpace(want))
		}
	}
	if rows < 50 {
		t.Errorf("only %d rows", rows)
	}
}

// parseFacts reads "SENDER[ machine] | SIGNAL NUMBER WORD... | ...".
func parseFacts(t *testing.T, line int, s string) Facts {
	t.Helper()
	f := Facts{Now: matchTime}
	parts := strings.Split(s, "|")
	for _, word := range strings.Fields(parts[0]) {
		switch word {
		case "customer":
		case "weak":
			f.Sender.Weak = true
		case "agent":
			f.Sender.Agent = true
		case "machine":
			f.Automatic = true
		default:
			t.Fatalf("line %d: sender word %q", line, word)
		}
	}
	for _, part := range parts[1:] {
		f.Signals = append(f.Signals, parseSignal(t, line, strings.Fields(part)))
	}
	return f
}

func parseSignal(t *testing.T, line int, words []string) SignalFacts {
	t.Helper()
	s := SignalFacts{Kind: SignalKind(words[0]), Value: words[1]}
	if weights[s.Kind] == 0 {
		t.Fatalf("line %d: signal %q", line, words[0])
	}
	if words[1] == "missing" {
		return s
	}
	number, err := strconv.ParseInt(words[1], 10, 64)
	if err != nil {
		t.Fatalf("line %d: %v", line, err)
	}
	s.Ticket = &TicketFacts{Number: number, Stranger: strangerHold}
	for _, word := range words[2:] {
		name, value, _ := strings.Cut(word, "=")
		n, _ := strconv.Atoi(value)
		switch name {
		case "participant":
			s.Ticket.Participant = true
		case "visible":
			s.Ticket.Visible = true
		case "internal":
			s.Ticket.Internal = true
		case "closed":
			s.Ticket.Closed, s.Ticket.ClosedAt = true, matchTime.AddDate(0, 0, -n)
		case "reopen":
			s.Ticket.ReopenDays = &n
		case "stranger":
			s.Ticket.Stranger = value
		default:
			t.Fatalf("line %d: ticket word %q", line, word)
		}
	}
	return s
}

func describe(d Decision) string {
	words := []string{string(d.Outcome)}
	switch {
	case d.Outcome == OutcomeAppend:
		words = append(words, numberValue(d.Ticket))
	case d.Suggested != 0:
		words = append(words, numberValue(d.Suggested))
	case d.Follows != 0:
		words = append(words, "follows", numberValue(d.Follows))
	}
	words = append(words, "as", d.Sender)
	if d.By != "" {
		words = append(words, "by", string(d.By))
	}
	if d.Reopen {
		words = append(words, "reopens")
	}
	return strings.Join(words, " ")
}

func drawFacts(t *rapid.T) Facts {
	kinds := []SignalKind{SignalEnvelopeToken, SignalToken, SignalTag, SignalReference, SignalNamed, SignalBareReference, SignalTextTag}
	f := Facts{Now: matchTime}
	f.Sender.Weak = rapid.Bool().Draw(t, "weak")
	f.Sender.Agent = !f.Sender.Weak && rapid.Bool().Draw(t, "agent")
	f.Automatic = rapid.Bool().Draw(t, "machine")
	tickets := map[int64]*TicketFacts{}
	for _, kind := range kinds {
		if !rapid.Bool().Draw(t, string(kind)) {
			continue
		}
		number := rapid.Int64Range(1, 4).Draw(t, "ticket")
		if tickets[number] == nil {
			tickets[number] = &TicketFacts{
				Number: number, Participant: rapid.Bool().Draw(t, "participant"), Visible: rapid.Bool().Draw(t, "visible"),
				Internal: rapid.Bool().Draw(t, "internal"), Closed: rapid.Bool().Draw(t, "closed"), ClosedAt: matchTime.AddDate(0, 0, -5),
				Stranger: rapid.SampledFrom([]string{strangerHold, strangerNew}).Draw(t, "policy"),
			}
		}
		f.Signals = append(f.Signals, SignalFacts{Kind: kind, Value: fmt.Sprint(number), Ticket: tickets[number]})
	}
	return f
}

// Nothing gets into a foreign ticket without a valid token, a participant's
// address that is not weak, or an agent who sees it.
func TestNothingElseAppends(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := drawFacts(t)
		d := Decide(f)
		if d.Outcome != OutcomeAppend {
			return
		}
		entitled := slices.ContainsFunc(f.Signals, func(s SignalFacts) bool {
			if s.Ticket == nil || s.Ticket.Number != d.Ticket {
				return false
			}
			token := s.Kind == SignalEnvelopeToken || s.Kind == SignalToken
			return token && !s.Ticket.Internal || s.Ticket.Participant && !f.Sender.Weak && !s.Ticket.Internal || f.Sender.Agent && s.Ticket.Visible
		})
		if !entitled {
			t.Fatalf("%+v was appended to %d", f, d.Ticket)
		}
		if f.Sender.Weak && d.Reopen {
			t.Fatal("a sender without rights reopened a ticket")
		}
	})
}

func TestOrderOfSignalsDoesNotMatter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := drawFacts(t)
		want := describe(Decide(f))
		seed := rapid.Uint64().Draw(t, "seed")
		random := rand.New(rand.NewPCG(seed, 1))
		random.Shuffle(len(f.Signals), func(i, j int) { f.Signals[i], f.Signals[j] = f.Signals[j], f.Signals[i] })
		if got := describe(Decide(f)); got != want {
			t.Fatalf("in another order %s, was %s", got, want)
		}
	})
}

func BenchmarkDecide(b *testing.B) {
	ticket := &TicketFacts{Number: 10001, Participant: true, Stranger: strangerHold}
	f := Facts{Now: matchTime, Signals: []SignalFacts{
		{Kind: SignalTag, Ticket: ticket}, {Kind: SignalReference, Ticket: ticket}, {Kind: SignalToken, Ticket: ticket},
	}}
	for b.Loop() {
		if Decide(f).Outcome != OutcomeAppend {
			b.Fatal("not appended")
		}
	}
}
