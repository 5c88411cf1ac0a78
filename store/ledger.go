package store

import "time"

// DeliveryState is where a delivery stands.
//
//	queued ─► sending ─► sent
//	  ▲  ▲       ├─────► failed
//	  │  │       ├─────► deferred ─► sending
//	  │  │       └─────► unknown  ─► sending   (lost after the final dot)
//	  │  └─ release ── held ◄── hold (queued, deferred, unknown)
//	  └──── retry ──── failed, deferred, unknown
//	cancelled ◄── cancel (queued, deferred, unknown, held)
type DeliveryState string

// The states of a delivery.
const (
	Queued    DeliveryState = "queued"
	Sending   DeliveryState = "sending"
	Sent      DeliveryState = "sent"
	Deferred  DeliveryState = "deferred"
	Failure   DeliveryState = "failed"
	Unknown   DeliveryState = "unknown"
	Held      DeliveryState = "held"
	Cancelled DeliveryState = "cancelled"
)

// Waiting tells whether a delivery in this state has an entry in the queue.
func (s DeliveryState) Waiting() bool { return s == Queued || s == Deferred || s == Unknown }

// MailKind says why a mail goes out.
type MailKind string

// The kinds of outgoing mail.
const (
	MailAnswer       MailKind = "answer"
	MailAck          MailKind = "acknowledgement"
	MailNotification MailKind = "notification"
	MailTemplate     MailKind = "template" // a rule's answer to the customer
)

// Mail is one outgoing message, complete: what is composed from it is the same
// at each attempt, but for the signatures' times.
type Mail struct {
	ID         string
	Kind       MailKind
	AccountID  string
	ActivityID string // the activity that it is, or tells of
	Ticket     int64
	CreatedAt  time.Time
	MailContent
}

// MailContent is kept as one JSON document.
type MailContent struct {
	From          Address    `json:"from"`
	To            []Address  `json:"to,omitempty"`
	Cc            []Address  `json:"cc,omitempty"`
	ReplyTo       string     `json:"reply_to,omitempty"`
	Subject       string     `json:"subject"`
	Date          time.Time  `json:"date"`
	MessageID     string     `json:"message_id"` // without brackets
	InReplyTo     string     `json:"in_reply_to,omitempty"`
	References    []string   `json:"references,omitempty"`
	Text          string     `json:"text,omitempty"`
	HTML          string     `json:"html,omitempty"`
	Parts         []MailPart `json:"parts,omitempty"`
	AutoSubmitted string     `json:"auto_submitted,omitempty"` // "", auto-replied, auto-generated
	LoopMark      string     `json:"loop_mark,omitempty"`      // signed; our own intake knows it again
}

// MailPart is one file of an outgoing mail.
type MailPart struct {
	Name      string `json:"name"`
	Type      string `json:"type"`
	Hash      string `json:"hash"` // blob
	Size      int64  `json:"size"`
	ContentID string `json:"content_id,omitempty"`
	Inline    bool   `json:"inline,omitempty"`
}

// Delivery is one recipient of an outgoing mail: a row of the ledger.
type Delivery struct {
	ID            string
	MailID        string
	Kind          MailKind
	ActivityID    string
	Ticket        int64
	AccountID     string
	Recipient     string
	RecipientKey  string
	Domain        string // of the recipient, A-label
	ReturnPath    string // "" is the null return path
	MessageID     string
	State         DeliveryState
	Reason        string // why it is held, failed or cancelled, in a word or two
	Attempts      int
	Fence         int64 // grows with each claim; a worker with an older one writes nothing
	LeaseUntil    time.Time
	NextAttemptAt time.Time
	Warned        bool      // the ticket was told that it takes long
	Bounced       bool      // a bounce came; it outweighs a later outcome
	CreatedAt     time.Time // since when it could leave: for an answer with a send_at, that time
	UpdatedAt     time.Time
	RetriedAt     time.Time // when somebody last asked for it to be tried: retry or release; zero: never
	LastCode      int
	LastText      string
}

// Attempt is one try of a delivery.
type Attempt struct {
	At       time.Time `json:"at"`
	Host     string    `json:"host"`
	Code     int       `json:"code"`     // SMTP reply code; 0: none came
	Enhanced string    `json:"enhanced"` // RFC 3463, or ""
	Text     string    `json:"text"`
}

// Outcome is what a worker found out about a delivery that it claimed.
type Outcome struct {
	State         DeliveryState // sent, deferred, failed, unknown, held
	Reason        string
	NextAttemptAt time.Time // for deferred and unknown
	Attempt       *Attempt  // nil where none was made
}

// Due is an entry that the queue should hold.
type Due struct {
	DeliveryID string
	Ticket     int64
	AccountID  string
	Domain     string
	Priority   int
	Attempt    int
	DueAt      time.Time
}
