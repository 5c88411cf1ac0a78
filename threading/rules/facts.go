package rules

import "time"

// MaxText is how much of a text a condition should be shown, in octets: a mail is
// judged by its beginning.
const MaxText = 32 << 10

// Facts are what conditions are about, by the name that stands in them. A nil
// part is not there in this kind of rule. Once a condition has looked, the parts
// stay, and what stands in them may change. Not safe for concurrent use.
type Facts struct {
	Message  *Message
	Contact  *Contact
	Company  *Company
	Ticket   *Ticket
	Activity *Activity
	Time     Moment

	ready map[string]any // for conditions
}

// Message is the mail as it came. Addresses are in their comparison form: lower
// case, domains as A-labels.
type Message struct {
	EnvelopeFrom string              `cel:"envelope_from"` // "": the null sender
	EnvelopeTo   []string            `cel:"envelope_to"`
	From         string              `cel:"from"` // "": none, or no single mailbox
	FromName     string              `cel:"from_name"`
	FromDomain   string              `cel:"from_domain"`
	ReplyTo      []string            `cel:"reply_to"`
	To           []string            `cel:"to"`
	Cc           []string            `cel:"cc"`
	Account      string              `cel:"account"` // the address of ours that it came to
	Subject      string              `cel:"subject"`
	Text         string              `cel:"text"`
	ReplyText    string              `cel:"reply_text"`
	HTML         string              `cel:"html"`
	Size         int64               `cel:"size"` // octets
	Headers      map[string][]string `cel:"headers"`
	Trusted      map[string][]string `cel:"trusted_headers"` // those that our own servers wrote
	Attachments  []Attachment        `cel:"attachments"`
	Verdict      string              `cel:"verdict"` // verified, unverified, failed, error
	DKIM         []Signature         `cel:"dkim"`
	DMARC        DMARC               `cel:"dmarc"`
	Automatic    string              `cel:"automatic"` // the kind of machine, or ""
}

// Attachment is one file of the mail.
type Attachment struct {
	Name string `cel:"name"`
	Type string `cel:"type"`
	Size int64  `cel:"size"` // octets
}

// Signature is one DKIM signature and what came of it.
type Signature struct {
	Domain   string `cel:"domain"`
	Selector string `cel:"selector"`
	Result   string `cel:"result"`
}

// DMARC is what the From domain says.
type DMARC struct {
	Result string `cel:"result"`
	Policy string `cel:"policy"`
	Domain string `cel:"domain"`
}

// Contact is the customer's person; all is empty where there is none yet.
type Contact struct {
	ID          string   `cel:"id"`
	Name        string   `cel:"name"`
	Addresses   []string `cel:"addresses"`
	Provisional bool     `cel:"provisional"`
	Known       bool     `cel:"known"` // there is one, and not only by its mail
}

// Company is the customer's firm; all is empty where there is none.
type Company struct {
	ID      string   `cel:"id"`
	Name    string   `cel:"name"`
	Domains []string `cel:"domains"`
	Parents []string `cel:"parents"` // names, the nearest first
}

// Ticket is the ticket as it stands when the rule looks at it: what an earlier
// rule did is done. Names stand for channel, status and marker, addresses for
// agents; "" is none.
type Ticket struct {
	Number         int64             `cel:"number"` // 0 while it is not made
	Kind           string            `cel:"kind"`
	Subject        string            `cel:"subject"`
	Channel        string            `cel:"channel"`
	Status         string            `cel:"status"`
	Responsibility string            `cel:"responsibility"` // us, customer, none
	Closed         bool              `cel:"closed"`
	Priority       string            `cel:"priority"`
	Marker         string            `cel:"marker"`
	Tags           []string          `cel:"tags"`
	Fields         map[string]string `cel:"fields"` // custom fields that have a value, by key
	Owner          string            `cel:"owner"`
	Responsible    string            `cel:"responsible"`
	New            bool              `cel:"new"`     // the mail opens it
	Waiting        bool              `cel:"waiting"` // its mail waits for another ticket

	// Moments; conditions see 1970 where there was nothing yet.
	CreatedAt      time.Time `cel:"created_at"`
	UpdatedAt      time.Time `cel:"updated_at"` // anything happened
	LastIncomingAt time.Time `cel:"last_incoming_at"`
	LastOutgoingAt time.Time `cel:"last_outgoing_at"`
	StatusAt       time.Time `cel:"status_at"` // it came into its status

	// Minutes, whole ones; -1 where there was nothing yet.
	SinceCreated  int64 `cel:"minutes_since_created"`
	SinceIncoming int64 `cel:"minutes_since_incoming"`
	SinceOutgoing int64 `cel:"minutes_since_outgoing"`
	SinceActivity int64 `cel:"minutes_since_activity"`
	InStatus      int64 `cel:"minutes_in_status"`
}

// Activity is the entry of the history that the rule looks at.
type Activity struct {
	Type       string   `cel:"type"`
	Medium     string   `cel:"medium"`
	Sender     string   `cel:"sender"`      // participant, stranger, agent; "" for what did not come in
	AuthorKind string   `cel:"author_kind"` // agent, contact, system, unknown
	Author     string   `cel:"author"`      // address, or ""
	Subject    string   `cel:"subject"`
	Text       string   `cel:"text"`
	Automatic  string   `cel:"automatic"`
	Reopens    bool     `cel:"reopens"` // it opens a closed ticket again
	Changes    []Change `cel:"changes"`
}

// Change is one field that the activity changed.
type Change struct {
	Field string `cel:"field"`
	From  string `cel:"from"`
	To    string `cel:"to"`
}

// Moment is now, on the desk's clock.
type Moment struct {
	Now     time.Time `cel:"now"`
	Date    string    `cel:"date"`    // 2026-11-25
	Weekday string    `cel:"weekday"` // monday
	Hour    int64     `cel:"hour"`
	Minute  int64     `cel:"minute"`

	// Calendar gives a calendar by its name, or nil: there is none that can be read.
	Calendar func(name string) Hours `cel:"-"`
}

// Hours count business time.
type Hours interface {
	Open(at time.Time) bool
	Between(a, b time.Time) time.Duration
}
