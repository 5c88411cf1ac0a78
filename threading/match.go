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
	SignalForeignNumber SignalKind = "foreign_number"  // the number of another system in the subject, as a custom field holds it
	SignalReference     SignalKind = "reference"       // a Message-ID that stands on an activity
	SignalNamed         SignalKind = "named"           // an earlier mail named this mail's Message-ID
	SignalAncestor      SignalKind = "ancestor"        // an earlier mail named an id that this one names, and nobody has seen
	SignalBareReference SignalKind = "bare_reference"  // the reference in the subject, without brackets
	SignalTextTag       SignalKind = "text_tag"        // the tag in the text, where the channel switches it on
	SignalAgent         SignalKind = "agent"           // the word of an agent who handed the mail in
)

// weights order the signals; their distance has no meaning beyond the order.
var weights = map[SignalKind]int{
	SignalEnvelopeToken: 100,
	SignalToken:         90,
	SignalTag:           70,
	SignalForeignNumber: 65,
	SignalReference:     60,
	SignalNamed:         50,
	SignalAncestor:      45,
	SignalBareReference: 40,
	SignalTextTag:       30,
}

// token tells the signals that are signed by us.
func (k SignalKind) token() bool { return k == SignalEnvelopeToken || k == SignalToken }

// thread tells the signals that are the Message-IDs of others: they tie mails
// to each other, and prove nothing.
func (k SignalKind) thread() bool {
	return k == SignalReference || k == SignalNamed || k == SignalAncestor
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
	Verdict  store.Verdict
	NoPolicy bool // beside the verdict error: the From domain is known to publish no policy
	Sole     bool // From is one single mailbox, and proven by no form; anything else belongs to no ticket
	Agent    bool // its address is an agent's
	Active   bool // the agent is not switched off
	// Addressee tells of an agent's mail whom he wrote it to.
	Addressee Addressee
}

// Addressee is whom a mail was written to, as far as a signature vouches for it.
type Addressee int

// The addressees.
const (
	AddresseeUnknown Addressee = iota // neither To nor Cc can be trusted
	AddresseeUs                       // one of them names an address of ours
	AddresseeOthers                   // they name others alone: a private mail, handed to us by somebody
)

// weak tells that the verdict takes the rights away which an address gives.
func (s SenderFacts) weak() bool {
	return s.Verdict == store.Failed || s.Verdict == store.AuthError && !s.NoPolicy
}

// acting tells that an agent wrote it: proven, and today one.
func (s SenderFacts) acting() bool {
	return s.Agent && s.Active && s.Sole && s.Verdict == store.Verified
}

// SignalFacts are one hint and what stands behind it.
type SignalFacts struct {
	Kind     SignalKind
	Value    string
	Ticket   *TicketFacts // nil: there is no such ticket
	Activity string       // that a token names, or ""
	Void     string       // why it counts for nothing, whoever wrote the mail; or ""
	// Unsigned tells that it stands where no signature covers it, while the
	// sender's standing rests on a signature: anybody may have put it there
	// (RFC 6376, 8.15).
	Unsigned bool
	// OtherSubject tells that the mail's subject is none that the ticket had.
	OtherSubject bool
}

// TicketFacts are what is known of a ticket that a signal leads to, after
// merges were followed.
type TicketFacts struct {
	Number     int64
	Internal   bool
	Contact    bool   // the sender is its contact
	Company    bool   // the sender belongs to its company
	Trusted    bool   // the sender's address stands in mail that went out, or came from a participant
	Scope      string // its channel's followup_scope
	Visible    bool   // the sender is an agent's address that may see it
	Closed     bool
	ClosedAt   time.Time
	ReopenDays *int   // of its channel
	Stranger   string // its channel's stranger_followup
	NewSubject string // its channel's new_subject
}

// The followup scopes of a channel.
const (
	scopeContact      = "contact"
	scopeCompany      = "company"
	scopeParticipants = "participants"
)

// belongs tells whether the sender takes part in a ticket's conversation. That
// an agent works in the customer's company, or for ourselves, makes him no
// customer.
func (t *TicketFacts) belongs(s SenderFacts) bool {
	switch {
	case !s.Sole:
		return false
	case t.Contact:
		return true
	case t.Scope == scopeContact:
		return false
	case t.Trusted:
		return true
	}
	return t.Company && t.Scope != scopeParticipants && !s.Agent
}

// Decision is what the facts lead to.
type Decision struct {
	Outcome   Outcome
	Ticket    int64  // of append
	Suggested int64  // of hold
	Follows   int64  // of new: the closed ticket that it is linked to
	Sender    string // one of the store.Sender words
	Reopen    bool   // the ticket is closed and opens again
	Inert     bool   // the mail changes no status
	By        SignalKind
	Score     int
	Told      string         // the activity that the deciding token names, or ""
	Joins     []int64        // of append: tickets of the sender that turn out to hold mail of the same thread
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
	f.Signals = slices.Clone(f.Signals)
	slices.SortStableFunc(f.Signals, func(a, b SignalFacts) int {
		return cmp.Compare(weights[b.Kind], weights[a.Kind])
	})
	d := Decision{Outcome: OutcomeNew, Sender: newSender(f.Sender), Inert: f.Sender.weak()}
	blocked := -1 // the strongest signal that the sender may not use by himself
	for i, signal := range f.Signals {
		verdict := f.judge(signal)
		d.Signals = append(d.Signals, signal.record(verdict.why))
		switch {
		case verdict.sender == "":
		case d.By == "":
			d.take(f, signal, verdict.sender)
		case verdict.sender == store.SenderParticipant && signal.Kind.thread() && signal.Ticket.Contact:
			d.join(signal.Ticket.Number)
		}
		if verdict.blocked && blocked < 0 {
			blocked = i
		}
	}
	if d.By == "" && blocked >= 0 {
		d.stranger(f, f.Signals[blocked])
	}
	return d
}

// judgement is what one signal is worth to one sender.
type judgement struct {
	sender  string // the word for the sender, where the signal may be used
	blocked bool   // it leads to a ticket that is not his
	why     string
}

func (f Facts) judge(signal SignalFacts) judgement {
	t, s := signal.Ticket, f.Sender
	switch {
	case signal.Void != "":
		return judgement{why: signal.Void}
	case t == nil:
		return judgement{why: "there is no such ticket"}
	case s.acting() && t.Visible && f.signed(signal) && signal.Kind != SignalNamed && signal.Kind != SignalAncestor:
		return judgement{sender: store.SenderAgent, why: "an agent who sees the ticket"}
	case t.Internal:
		return judgement{why: "an internal ticket takes no mail from outside"}
	case t.belongs(s) && !s.weak() && (signal.Kind.token() || !signal.Unsigned):
		return judgement{sender: store.SenderParticipant, why: "the sender belongs to the ticket"}
	case signal.Kind.token():
		return judgement{sender: store.SenderStranger, why: "a signed token, in a stranger's hand"}
	case signal.Kind == SignalBareReference:
		return judgement{why: "a reference without brackets counts for participants only"}
	case signal.Kind == SignalForeignNumber: // it is no secret, and not even ours
		return judgement{why: "the number of another system counts for participants only"}
	case signal.Kind == SignalAncestor: // all readers of a newsletter share one
		return judgement{why: "an ancestor in common counts for participants only"}
	case s.weak():
		return judgement{blocked: true, why: "the sender could not be verified"}
	case t.belongs(s):
		return judgement{blocked: true, why: "the signature does not cover it"}
	default:
		return judgement{blocked: true, why: "the sender does not belong to the ticket"}
	}
}

// signed tells whether an agent's signature covers that he wrote to us about
// this ticket: the field of the signal and an address of ours, or a tag in the
// subject. Else somebody could have put a token before a mail that he once
// wrote to others, or handed in what he answered in private.
func (f Facts) signed(signal SignalFacts) bool {
	tagged := slices.ContainsFunc(f.Signals, func(other SignalFacts) bool {
		return other.Kind == SignalTag && !other.Unsigned && other.leadsTo(signal.Ticket.Number)
	})
	switch f.Sender.Addressee {
	case AddresseeUs:
		return tagged || !signal.Unsigned
	case AddresseeOthers:
		return false
	}
	return tagged
}

// leadsTo tells whether a signal names a ticket.
func (s SignalFacts) leadsTo(number int64) bool {
	return s.Void == "" && s.Ticket != nil && s.Ticket.Number == number
}

// take appends the mail to the signal's ticket, opens one that follows it
// where it has been closed for too long, or suggests it where the subject says
// that the matter is another one.
func (d *Decision) take(f Facts, signal SignalFacts, sender string) {
	t := signal.Ticket
	d.By, d.Score, d.Told, d.Sender = signal.Kind, weights[signal.Kind], signal.Activity, sender
	d.Inert = d.Inert || f.Sender.Agent && sender == store.SenderStranger
	switch {
	case t.Closed && !f.Automatic && sender != store.SenderAgent && tooLate(t, f.Now):
		d.Outcome, d.Follows, d.Sender = OutcomeNew, t.Number, newSender(f.Sender)
	case f.otherMatter(signal) && sender != store.SenderAgent:
		d.Outcome, d.Suggested = OutcomeHold, t.Number
	default:
		d.Outcome, d.Ticket = OutcomeAppend, t.Number
		d.Reopen = t.Closed && !f.Automatic && !d.Inert && sender != store.SenderAgent
	}
}

// otherMatter tells whether a reply to an old mail is taken for a new matter:
// a person gave it another subject, without the tag, and the channel minds.
func (f Facts) otherMatter(signal SignalFacts) bool {
	t := signal.Ticket
	return t.NewSubject == store.NewSubjectSuggest && signal.OtherSubject && !f.Automatic &&
		!slices.ContainsFunc(f.Signals, func(other SignalFacts) bool {
			named := other.Kind == SignalTag || other.Kind == SignalBareReference || other.Kind == SignalForeignNumber
			return named && other.leadsTo(t.Number)
		})
}

// join notes that another ticket holds mail of the thread. Where a tag or a
// token decided, the mail says itself where it belongs, and ties nothing.
func (d *Decision) join(number int64) {
	if d.Outcome == OutcomeAppend && d.By.thread() && d.Sender == store.SenderParticipant && number != d.Ticket && !slices.Contains(d.Joins, number) {
		d.Joins = append(d.Joins, number)
	}
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
	if s.acting() {
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
