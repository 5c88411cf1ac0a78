package threading

import (
	"bufio"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"ticketgate/store"
)

var matchTime = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// TestDecide runs testdata/decide.txt, which reads like the contract: who
// writes, what is known of that, what the mail names, and what follows.
func TestDecide(t *testing.T) {
	file, err := os.Open("testdata/decide.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	rows := map[string]bool{}
	scanner := bufio.NewScanner(file)
	for n := 1; scanner.Scan(); n++ {
		row := strings.TrimPrefix(strings.TrimSpace(scanner.Text()), "e2e ")
		if row == "" || strings.HasPrefix(row, "#") {
			continue
		}
		given, want, ok := strings.Cut(row, "->")
		if !ok {
			t.Fatalf("line %d has no ->", n)
		}
		given = strings.Join(strings.Fields(given), " ")
		if rows[given] {
			t.Errorf("line %d says again what another says: %s", n, given)
		}
		rows[given] = true
		facts := parseFacts(t, n, given)
		if got := describe(Decide(facts)); got != strings.Join(strings.Fields(want), " ") {
			t.Errorf("line %d: %s\n got %s\nwant %s", n, given, got, strings.TrimSpace(want))
		}
	}
	if len(rows) < 200 {
		t.Errorf("only %d rows", len(rows))
	}
}

// parseFacts reads "TIER VERDICT [WORD] | SIGNAL NUMBER WORD... | ...".
func parseFacts(t *testing.T, line int, s string) Facts {
	t.Helper()
	f := Facts{Now: matchTime}
	parts := strings.Split(s, "|")
	words := strings.Fields(parts[0])
	if len(words) < 2 || len(words) > 3 {
		t.Fatalf("line %d: sender %q", line, parts[0])
	}
	f.Sender.Addressee = AddresseeUs
	if len(words) == 3 {
		switch words[2] {
		case "machine":
			f.Automatic = true
		case "private":
			f.Sender.Addressee = AddresseeOthers
		case "unaddressed":
			f.Sender.Addressee = AddresseeUnknown
		default:
			t.Fatalf("line %d: sender word %q", line, words[2])
		}
	}
	ticket := parseTier(t, line, words[0], &f.Sender)
	f.Sender.Verdict = store.Verdict(words[1])
	if words[1] == "error-none" {
		f.Sender.Verdict, f.Sender.NoPolicy = store.AuthError, true
	}
	for _, part := range parts[1:] {
		f.Signals = append(f.Signals, parseSignal(t, line, strings.Fields(part), ticket))
	}
	return f
}

// parseTier reads what the sender is to the tickets of a row.
func parseTier(t *testing.T, line int, tier string, s *SenderFacts) (ticket TicketFacts) {
	t.Helper()
	s.Sole = tier != "nobody"
	ticket = TicketFacts{Scope: scopeCompany, Stranger: strangerHold, NewSubject: store.NewSubjectSame}
	switch tier {
	case "contact":
		ticket.Contact = true
	case "colleague":
		ticket.Company = true
	case "trusted":
		ticket.Trusted = true
	case "stranger", "nobody":
	case "agent":
		s.Agent, s.Active, ticket.Visible = true, true, true
	case "unsubscribed": // an agent who does not see the ticket's channel
		s.Agent, s.Active = true, true
	case "former": // an agent who was switched off
		s.Agent, ticket.Visible = true, true
	default:
		t.Fatalf("line %d: tier %q", line, tier)
	}
	return ticket
}

func parseSignal(t *testing.T, line int, words []string, ticket TicketFacts) SignalFacts {
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
	ticket.Number = number
	s.Ticket = &ticket
	for _, word := range words[2:] {
		name, value, _ := strings.Cut(word, "=")
		n, _ := strconv.Atoi(value)
		switch name {
		case "foreign": // the sender is nothing to this one
			ticket.Contact, ticket.Company, ticket.Trusted, ticket.Visible = false, false, false, false
		case "internal":
			ticket.Internal = true
		case "closed":
			ticket.Closed, ticket.ClosedAt = true, matchTime.AddDate(0, 0, -n)
		case "reopen":
			ticket.ReopenDays = &n
		case "policy":
			ticket.Stranger = value
		case "scope":
			ticket.Scope = value
		case "new_subject":
			ticket.NewSubject = value
		case "other":
			s.OtherSubject = true
		case "unsigned":
			s.Unsigned = true
		case "void":
			s.Void = "it counts for nothing"
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
	if d.Inert {
		words = append(words, "inert")
	}
	for _, number := range d.Joins {
		words = append(words, "joins", numberValue(number))
	}
	return strings.Join(words, " ")
}

func drawFacts(t *rapid.T) Facts {
	kinds := slices.Sorted(maps.Keys(weights))
	flip := func(label string) bool { return rapid.Bool().Draw(t, label) }
	f := Facts{Now: matchTime, Automatic: flip("machine")}
	f.Sender = SenderFacts{
		Verdict:  rapid.SampledFrom([]store.Verdict{store.Verified, store.Unverified, store.Failed, store.AuthError}).Draw(t, "verdict"),
		NoPolicy: flip("no policy"), Sole: flip("sole"), Agent: flip("agent"), Active: flip("active"),
		Addressee: rapid.SampledFrom([]Addressee{AddresseeUs, AddresseeOthers, AddresseeUnknown}).Draw(t, "addressee"),
	}
	tickets := map[int64]*TicketFacts{}
	for _, kind := range kinds {
		if !flip(string(kind)) {
			continue
		}
		number := rapid.Int64Range(1, 4).Draw(t, "ticket")
		if tickets[number] == nil {
			tickets[number] = &TicketFacts{
				Number: number, Contact: flip("contact"), Company: flip("company"), Trusted: flip("trusted"), Visible: flip("visible"),
				Internal: flip("internal"), Closed: flip("closed"), ClosedAt: matchTime.AddDate(0, 0, -5),
				Scope:      rapid.SampledFrom([]string{scopeContact, scopeCompany, scopeParticipants}).Draw(t, "scope"),
				Stranger:   rapid.SampledFrom([]string{strangerHold, strangerNew}).Draw(t, "policy"),
				NewSubject: rapid.SampledFrom([]string{store.NewSubjectSame, store.NewSubjectSuggest}).Draw(t, "new_subject"),
			}
		}
		s := SignalFacts{Kind: kind, Value: fmt.Sprint(number), Ticket: tickets[number], Unsigned: flip("unsigned"), OtherSubject: flip("other")}
		if flip("void") {
			s.Void = "it counts for nothing"
		}
		f.Signals = append(f.Signals, s)
	}
	return f
}

// Nothing gets into a foreign ticket without a valid token, a participant's
// address whose verdict is not failed, or an agent who sees it; and nothing at
// all into an internal one but the last.
func TestNothingElseAppends(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := drawFacts(t)
		d := Decide(f)
		entitled := func(number int64) bool {
			return slices.ContainsFunc(f.Signals, func(s SignalFacts) bool {
				k := s.Ticket
				if k == nil || k.Number != number || s.Void != "" {
					return false
				}
				agent := f.Sender.Agent && f.Sender.Active && f.Sender.Sole && f.Sender.Verdict == store.Verified && k.Visible &&
					f.Sender.Addressee != AddresseeOthers
				proven := f.Sender.Verdict == store.Verified || f.Sender.Verdict == store.Unverified || f.Sender.Verdict == store.AuthError && f.Sender.NoPolicy
				participant := f.Sender.Sole && proven && (k.Contact || k.Company || k.Trusted)
				token := s.Kind == SignalEnvelopeToken || s.Kind == SignalToken
				return agent || !k.Internal && (token || participant)
			})
		}
		if d.Outcome == OutcomeAppend && !entitled(d.Ticket) {
			t.Fatalf("%+v was appended to %d", f, d.Ticket)
		}
		for _, number := range d.Joins {
			if !entitled(number) || d.Outcome != OutcomeAppend {
				t.Fatalf("%+v joins %d", f, number)
			}
		}
		if (f.Sender.Verdict == store.Failed || f.Sender.Agent && d.Sender == store.SenderStranger && d.Outcome == OutcomeAppend) && (d.Reopen || !d.Inert) {
			t.Fatal("a sender without rights reopened a ticket, or changes its status")
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
	ticket := &TicketFacts{Number: 10001, Contact: true, Stranger: strangerHold}
	f := Facts{Now: matchTime, Sender: SenderFacts{Verdict: store.Verified, Sole: true}, Signals: []SignalFacts{
		{Kind: SignalTag, Ticket: ticket}, {Kind: SignalReference, Ticket: ticket}, {Kind: SignalToken, Ticket: ticket},
	}}
	for b.Loop() {
		if Decide(f).Outcome != OutcomeAppend {
			b.Fatal("not appended")
		}
	}
}
