package threading

import (
	"cmp"
	"slices"
	"strconv"
	"time"

	"ticketgate/store"
)

// SignalKind says where a mail named a ticket.
type SignalKind string

// The signals, strongest first.
const (
	SignalEnvelopeToken SignalKind = "envelope_token"  // a signed token in the envelope recipient
	SignalToken         SignalKind = "reference_token" // a signed token in In-Reply-To or References
	SignalTag           SignalKind = "tag"             // the tag in the subject
	SignalReference     SignalKind = "reference"       // a Message-ID that stands on an activity
	SignalNamed         SignalKind = "named"           // an earlier mail named this mail's Message-ID
	SignalBareReference SignalKind = "bare_reference"  // the reference in the subject, without brackets
	SignalTextTag       SignalKind = "text_tag"        // the tag in the text, where the channel switches it on
)

// weights order the signals; their distance has no meaning beyond the order.
var weights = map[SignalKind]int{
	SignalEnvelopeToken: 100,
	SignalToken:         90,
	SignalTag:           70,
	SignalReference:     60,
	SignalNamed:         50,
	SignalBareReference: 40,
	SignalTextTag:       30,
}

// Outcome is what becomes of a mail.
type Outcome string

// The outcomes.
const (
	OutcomeAppend     Outcome = "append"
	OutcomeNew        Outcome = "new"
	OutcomeHold       Outcome = "hold"
	OutcomeQuarantine Outcome = "quarantine"
	OutcomeBounce     Outcome = "bounce"
	OutcomeDuplicate  Outcome = "duplicate"
)

// Facts are all that the decision depends on.
type Facts struct {
	Sender    SenderFacts
	Automatic bool // a machine wrote it
	Signals   []SignalFacts
	Now       time.Time
}

// SenderFacts are what is known of who wrote the mail.
type SenderFacts struct {
	Agent bool // a verified agent's address
	Weak  bool // verdict failed, or an error that has the rights of failed
}

// SignalFacts are one hint and what stands behind it.
type SignalFacts struct {
	Kind   SignalKind
	Value  string
	Ticket *TicketFacts // nil: there is no such ticket
}

// TicketFacts are what is known of a ticket that a signal leads to, after
// merges were followed.
type TicketFacts struct {
	Number      int64
	Internal    bool
	Participant bool // the sender belongs to the conversation, by the channel's followup_scope
	Visible     bool // the sender is an agent who may see the ticket
	Closed      bool
	ClosedAt    time.Time
	ReopenDays  *int   // of its channel
	Stranger    string // its channel's stranger_followup
}

// Decision is what the facts lead to.
type Decision struct {
	Outcome   Outcome
	Ticket    int64  // of append
	Suggested int64  // of hold
	Follows   int64  // of new: the closed ticket that it is linked to
	Sender    string // one of the store.Sender words
	Reopen    bool   // the ticket is closed and opens again
	By        SignalKind
	Score     int
	Signals   []store.Signal // all of them, with what became of each
}

// The policies of a channel for mail of strangers.
const (
	strangerHold   = "hold"
	strangerAppend = "append"
	strangerNew    = "new"
)

// Decide says which ticket a mail belongs to. It reads nothing but its facts.
// The order in which they name signals of different kinds does not matter;
// among signals of one kind the first that the sender may use counts.
func Decide(f Facts) Decision {
	signals := slices.Clone(f.Signals)
	slices.SortStableFunc(signals, func(a, b SignalFacts) int {
		return cmp.Compare(weights[b.Kind], weights[a.Kind])
	})
	d := Decision{Outcome: OutcomeNew, Sender: newSender(f.Sender)}
	blocked := -1 // the strongest signal that the sender may not use by himself
	for i, signal := range signals {
		verdict := judge(f.Sender, signal)
		d.Signals = append(d.Signals, signal.record(verdict.why))
		switch {
		case verdict.sender == "" || d.By != "":
		default:
			d.take(f, signal, verdict.sender)
		}
		if verdict.blocked && blocked < 0 {
			blocked = i
		}
	}
	if d.By == "" && blocked >= 0 {
		d.stranger(f, signals[blocked])
	}
	return d
}

// judgement is what one signal is worth to one sender.
type judgement struct {
	sender  string // the word for the sender, where the signal may be used
	blocked bool   // it leads to a ticket that is not his
	why     string
}

func judge(s SenderFacts, signal SignalFacts) judgement {
	t := signal.Ticket
	switch {
	case t == nil:
		return judgement{why: "there is no such ticket"}
	case t.Internal && !(s.Agent && t.Visible):
		return judgement{why: "an internal ticket takes no mail from outside"}
	case s.Agent && t.Visible:
		return judgement{sender: store.SenderAgent, why: "an agent who sees the ticket"}
	case t.Participant && !s.Weak:
		return judgement{sender: store.SenderParticipant, why: "the sender belongs to the ticket"}
	case signal.Kind == SignalEnvelopeToken || signal.Kind == SignalToken:
		return judgement{sender: store.SenderStranger, why: "a signed token, in a stranger's hand"}
	case signal.Kind == SignalBareReference:
		return judgement{why: "a reference without brackets counts for participants only"}
	case s.Weak:
		return judgement{blocked: true, why: "the sender could not be verified"}
	default:
		return judgement{blocked: true, why: "the sender does not belong to the ticket"}
	}
}

// take appends the mail to the signal's ticket, or opens one that follows it
// where it has been closed for too long.
func (d *Decision) take(f Facts, signal SignalFacts, sender string) {
	t := signal.Ticket
	d.By, d.Score, d.Sender = signal.Kind, weights[signal.Kind], sender
	if t.Closed && !f.Automatic && tooLate(t, f.Now) {
		d.Outcome, d.Follows, d.Sender = OutcomeNew, t.Number, newSender(f.Sender)
		return
	}
	d.Outcome, d.Ticket = OutcomeAppend, t.Number
	d.Reopen = t.Closed && !f.Automatic && !f.Sender.Weak && sender != store.SenderAgent
}

// stranger follows the policy of the ticket's channel for a mail that names
// the ticket and brings no right to it.
func (d *Decision) stranger(f Facts, signal SignalFacts) {
	switch signal.Ticket.Stranger {
	case strangerAppend:
		d.take(f, signal, store.SenderStranger)
	case strangerNew: // a matter of his own, in which he is no stranger
	default:
		d.Outcome, d.Suggested, d.Sender = OutcomeHold, signal.Ticket.Number, store.SenderStranger
		d.By, d.Score = signal.Kind, weights[signal.Kind]
	}
}

func tooLate(t *TicketFacts, now time.Time) bool {
	return t.ReopenDays != nil && (*t.ReopenDays == 0 || now.Sub(t.ClosedAt) > time.Duration(*t.ReopenDays)*24*time.Hour)
}

func newSender(s SenderFacts) string {
	if s.Agent {
		return store.SenderAgent
	}
	return store.SenderParticipant
}

func (s SignalFacts) record(why string) store.Signal {
	r := store.Signal{Kind: string(s.Kind), Value: s.Value, Weight: weights[s.Kind], Why: why}
	if s.Ticket != nil {
		r.Ticket = s.Ticket.Number
	}
	return r
}

// numberValue writes a ticket number as a signal's value.
func numberValue(number int64) string { return strconv.FormatInt(number, 10) }
