// Package store holds what ticketgate keeps: the record types, the
// transactions that write them, and the queries that read them. Two drivers,
// store/sqlite and store/postgres, run the same statements and are held
// together by one conformance suite, store/storetest.
//
// Every string that is handed in must be valid UTF-8 without NUL; the callers
// clean what comes from outside when they parse it. Times are kept in
// microseconds, UTC; a zero time.Time is kept as none. An empty id is none.
package store

import (
	"time"

	"github.com/google/uuid"
)

// NewID gives a fresh UUIDv7: ids sort by the time they were made, so long
// tables are read and partitioned by range.
func NewID() string { return uuid.Must(uuid.NewV7()).String() }

// TicketKind tells how a ticket came about.
type TicketKind string

// The kinds of ticket.
const (
	KindEmail    TicketKind = "email"
	KindEnquiry  TicketKind = "enquiry"
	KindInternal TicketKind = "internal"
)

// Priority of a ticket.
type Priority string

// The priorities, lowest first.
const (
	PriorityLow    Priority = "low"
	PriorityNormal Priority = "normal"
	PriorityHigh   Priority = "high"
	PriorityUrgent Priority = "urgent"
)

// Ticket is one matter.
type Ticket struct {
	Number          int64
	ID              string
	Kind            TicketKind
	Subject         string
	ChannelID       string
	StatusID        string
	Priority        Priority
	MarkerID        string
	ContactID       string
	CompanyID       string
	OwnerID         string
	ResponsibleID   string
	CreatedBy       string // agent id, or "" for mail
	AccountID       string // the mail account that it last used
	MergedInto      int64  // 0: not merged
	SuggestedTicket int64  // 0: none; a held mail's ticket names the one it may belong to
	Tags            []string
	Activities      int // the last one's Seq; some may have moved away
	Files           int
	Version         int64 // of what PATCH can set; incoming mail leaves it alone
	CreatedAt       time.Time
	UpdatedAt       time.Time
	LastIncomingAt  time.Time
	LastOutgoingAt  time.Time
	StatusAt        time.Time // since when it is in its status
	RespondBy       time.Time // when an answer is due, by its service level; zero: none is. PutClock keeps it
	ClosedAt        time.Time // zero while the status is open
}

// Link ties two tickets; it is kept for both directions.
type Link struct {
	Ticket int64  `json:"-"`
	Number int64  `json:"number"`
	Kind   string `json:"kind"` // one of the Link words, as seen from Ticket
}

// The kinds of link.
const (
	LinkSameMail  = "same_mail" // one mail to several accounts
	LinkFollows   = "follows"   // a reply too late to reopen the other
	LinkFollowed  = "followed_by"
	LinkSuggested = "suggested" // this one's mail waits for the other
	LinkWaiting   = "waiting"

	LinkMergedInto = "merged_into" // this one went into the other
	LinkMerged     = "merged"
	LinkThread     = "same_thread" // mail of one thread, which agents had worked on in both
	LinkSplitFrom  = "split_from"  // this one was made of a part of the other
	LinkSplit      = "split"

	LinkRelated      = "related"
	LinkDuplicateOf  = "duplicate_of"
	LinkDuplicatedBy = "duplicated_by"
	LinkParent       = "parent" // the other one is
	LinkChild        = "child"
)

// Address is a mailbox as a mail or an agent wrote it.
type Address struct {
	Name    string `json:"name"`
	Address string `json:"address"`
}

// ActivityType says what an entry of the history is.
type ActivityType string

// The types of activity.
const (
	TypeIncoming     ActivityType = "incoming"
	TypeOutgoing     ActivityType = "outgoing"
	TypeNote         ActivityType = "note"
	TypeStatusChange ActivityType = "status_change"
)

// Medium says by what way an activity came or went.
type Medium string

// The media.
const (
	MediumEmail    Medium = "email"
	MediumPhone    Medium = "phone"
	MediumLetter   Medium = "letter"
	MediumWeb      Medium = "web"
	MediumPortal   Medium = "portal"
	MediumInternal Medium = "internal"
)

// Author is who wrote an activity.
type Author struct {
	Kind    string `json:"kind"` // agent, contact, system, unknown
	ID      string `json:"id"`
	Name    string `json:"name"`
	Address string `json:"address"`
}

// The kinds of author.
const (
	AuthorAgent   = "agent"
	AuthorContact = "contact"
	AuthorSystem  = "system"
	AuthorUnknown = "unknown"
)

// The senders of an incoming mail, as the ticket sees them.
const (
	SenderParticipant = "participant"
	SenderStranger    = "stranger"
	SenderAgent       = "agent"
)

// Activity is one entry of a ticket's history.
type Activity struct {
	ID        string
	Ticket    int64
	Seq       int // 1, 2, ... in the ticket
	Type      ActivityType
	Medium    Medium
	Author    Author
	CreatedBy string // agent id, or ""
	AccountID string
	Answers   string // the activity that it answers, or ""
	Subject   string
	Text      string
	HTML      string
	ReplyText string
	MessageID string // without brackets
	RawHash   string // blob of the received bytes, hex SHA-256; "" where there is none
	Sender    string // one of the Sender words, or "" for what did not come in
	Automatic string // the kind of machine that wrote it, or ""
	External  bool   // show_in_external_access
	CreatedAt time.Time
	ActivityDetail
}

// Stub is what stays of an activity for those who may not see it.
func (a Activity) Stub() Activity {
	return Activity{
		ID: a.ID, Ticket: a.Ticket, Seq: a.Seq, Type: a.Type, Medium: a.Medium, Author: a.Author, CreatedBy: a.CreatedBy,
		CreatedAt: a.CreatedAt, ActivityDetail: ActivityDetail{Hidden: a.Hidden},
	}
}

// ActivityDetail is the part of an activity that is read with it and never
// searched or joined: it is kept as one JSON document.
type ActivityDetail struct {
	From          []Address `json:"from,omitempty"`
	To            []Address `json:"to,omitempty"`
	Cc            []Address `json:"cc,omitempty"`
	Bcc           []Address `json:"bcc,omitempty"`
	ReplyTo       []Address `json:"reply_to,omitempty"`
	ReplyDiffers  bool      `json:"reply_differs,omitempty"` // Reply-To is not used: its domain is not From's, or no signature covers it
	NameMarked    bool      `json:"name_marked,omitempty"`   // the From name holds another address
	MixedScript   bool      `json:"mixed_script,omitempty"`  // From has letters that look like others
	EnvelopeFrom  string    `json:"envelope_from,omitempty"`
	EnvelopeTo    []string  `json:"envelope_to,omitempty"`
	DeliveryID    string    `json:"delivery_id,omitempty"`
	Source        string    `json:"source,omitempty"` // agent: one handed it in; "": it came by itself
	QueueID       string    `json:"queue_id,omitempty"`
	InReplyTo     []string  `json:"in_reply_to,omitempty"`
	References    []string  `json:"references,omitempty"`
	Trace         string    `json:"trace,omitempty"` // header fields of ours that stand before the raw bytes
	Auth          *Auth     `json:"auth,omitempty"`
	Match         *Match    `json:"match,omitempty"`
	Changes       []Change  `json:"changes,omitempty"`
	Comment       string    `json:"comment,omitempty"`
	Defects       []string  `json:"defects,omitempty"`
	Moved         []int64   `json:"moved,omitempty"`    // tickets where it lay before agents moved it, oldest first
	Chosen        bool      `json:"chosen,omitempty"`   // an agent said whether the external access shows it
	Withheld      bool      `json:"withheld,omitempty"` // status and reopening wait for a DNS look-up
	Duplicate     string    `json:"duplicate,omitempty"`
	Hidden        *Hidden   `json:"hidden,omitempty"` // nil: it was not
	OriginalEvent string    `json:"event,omitempty"`  // what a system activity tells of
	SendAt        time.Time `json:"send_at,omitzero"` // when an answer leaves that was not to leave at once

	Rules []RuleTrace `json:"rules,omitempty"` // those that held or failed

	Erased time.Time `json:"erased,omitzero"` // when its words were removed, with the person who wrote it
}

// Hidden tells who took an activity out of sight; admins alone read it still.
type Hidden struct {
	By string    `json:"by"` // agent id
	At time.Time `json:"at"`
}

// Change is one field that an activity changed.
type Change struct {
	Field string `json:"field"`
	From  string `json:"from"`
	To    string `json:"to"`
}

// Auth is who wrote a mail, as far as it could be told (contract 3.2).
type Auth struct {
	DKIM    []DKIMResult  `json:"dkim"`
	DMARC   DMARCResult   `json:"dmarc"`
	SPF     *MethodResult `json:"spf"` // null: nothing is known
	ARC     *MethodResult `json:"arc"`
	Verdict Verdict       `json:"verdict"`
}

// Verdict sums Auth up.
type Verdict string

// The verdicts.
const (
	Verified   Verdict = "verified"   // an aligned pass
	Unverified Verdict = "unverified" // nothing to say
	Failed     Verdict = "failed"     // nothing aligns where something should
	AuthError  Verdict = "error"      // DNS did not answer; looked up again
)

// DKIMResult is the outcome of one signature (RFC 8601, 2.7.1).
type DKIMResult struct {
	Domain    string `json:"domain"`
	Selector  string `json:"selector"`
	Algorithm string `json:"algorithm"`
	Result    string `json:"result"`
	Reason    string `json:"reason"`
}

// DMARCResult is the outcome for the From domain.
type DMARCResult struct {
	Result string `json:"result"`
	Policy string `json:"policy"`
	Domain string `json:"domain"`
}

// MethodResult is the outcome of a check that another server made.
type MethodResult struct {
	Result string `json:"result"`
	Domain string `json:"domain,omitempty"`
}

// Match is how a mail found its ticket.
type Match struct {
	By      string   `json:"by"`
	Score   int      `json:"score"`
	Signals []Signal `json:"signals"`
}

// Signal is one hint at a ticket, followed or not.
type Signal struct {
	Kind   string `json:"kind"`
	Value  string `json:"value"`
	Ticket int64  `json:"ticket"`
	Weight int    `json:"weight"`
	Why    string `json:"why"`
}

// Attachment is one file of an activity. Its bytes are a blob.
type Attachment struct {
	ID         string `json:"id"`
	ActivityID string `json:"-"`
	Ticket     int64  `json:"-"`
	Position   int    `json:"-"`
	Name       string `json:"name"`
	Type       string `json:"type"`
	Size       int64  `json:"size"`
	Inline     bool   `json:"inline"`
	ContentID  string `json:"content_id,omitempty"`
	Hash       string `json:"-"`
	Hidden     bool   `json:"hidden,omitempty"` // taken out of sight; admins alone see it
}

// Participant is an address that belongs to a ticket's conversation.
type Participant struct {
	Ticket  int64  `json:"-"`
	Key     string `json:"-"` // message.Address.Key
	Address string `json:"address"`
	Name    string `json:"name"`
	Active  bool   `json:"active"` // an agent chose it as a recipient, or it is the customer
	Trusted bool   `json:"-"`      // may write into the ticket by its tag
}

// Quarantined is a mail that was taken and is no ticket.
type Quarantined struct {
	ID           string
	Reason       string
	AccountID    string
	EnvelopeFrom string
	EnvelopeTo   []string
	From         []Address
	To           []Address
	Subject      string
	RawHash      string
	Trace        string
	Auth         *Auth
	CreatedAt    time.Time
	Rules        []RuleTrace // of the reason rule
}

// Recheck is an activity or quarantined mail whose DNS look-up failed.
type Recheck struct {
	ID      string // of the activity or of the quarantined mail
	Attempt int    // look-ups made so far
	DueAt   time.Time
}
