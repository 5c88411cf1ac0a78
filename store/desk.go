package store

import (
	"slices"
	"time"
)

// Channel is where a ticket lies; it decides who sees it.
type Channel struct {
	ID                   string      `json:"id"`
	Name                 string      `json:"name"`
	Active               bool        `json:"active"`
	DefaultOwnerID       string      `json:"default_owner_id"`
	DefaultResponsibleID string      `json:"default_responsible_id"`
	SubjectTag           string      `json:"subject_tag"`        // prepend, append, off
	StrangerFollowup     string      `json:"stranger_followup"`  // hold, append, new
	FollowupScope        string      `json:"followup_scope"`     // contact, company, participants
	NewSubject           string      `json:"new_subject"`        // same, suggest; "" is same
	RequireDKIM          string      `json:"require_dkim"`       // off, quarantine, reject
	TagInText            bool        `json:"tag_in_text"`        // the tag is looked for in the text as well
	ReopenDays           *int        `json:"reopen_days"`        // nil: always; 0: never; n: within n days
	OnIncoming           string      `json:"on_incoming"`        // status id; "" keeps the status
	OnOutgoing           string      `json:"on_outgoing"`        // status id; "" keeps the status
	DefaultStatusID      string      `json:"default_status_id"`  // of a new ticket
	Acknowledge          Acknowledge `json:"acknowledge"`        // of a new ticket, to its sender
	AckLimit             int         `json:"ack_limit"`          // automatic mails per address and day
	Signature            string      `json:"signature"`          // text below an answer
	AccountID            string      `json:"account_id"`         // sends where the ticket names none
	Statuses             []string    `json:"statuses,omitempty"` // allowed status ids; none: all

	ServiceLevelID string     `json:"service_level_id,omitempty"` // of tickets that have none of their own
	Escalation     Escalation `json:"escalation,omitzero"`

	// Responsibilities says whose turn an open status is in this channel, by
	// status id; what it doesn't name is as the status itself says.
	Responsibilities map[string]string `json:"responsibilities,omitempty"`
}

// Allows tells whether a ticket of the channel may have a status.
func (c *Channel) Allows(statusID string) bool {
	return len(c.Statuses) == 0 || slices.Contains(c.Statuses, statusID)
}

// The ways to take a reply whose subject is another one and holds no tag.
const (
	NewSubjectSame    = "same"    // it belongs to the ticket all the same
	NewSubjectSuggest = "suggest" // a ticket of its own, which suggests the other
)

// SubjectPolicy gives NewSubject, or its default for a channel that is older
// than the field.
func (c Channel) SubjectPolicy() string {
	if c.NewSubject == "" {
		return NewSubjectSame
	}
	return c.NewSubject
}

// Acknowledge is a channel's automatic first answer.
type Acknowledge struct {
	Enabled    bool   `json:"enabled"`
	TemplateID string `json:"template_id"`
}

// Status is a state of a ticket.
type Status struct {
	ID             string `json:"id"`
	Name           string `json:"name"`
	Responsibility string `json:"responsibility"` // one of the Responsible words
	Closed         bool   `json:"closed"`
	Position       int    `json:"position"`
}

// Whose turn it is, by a status.
const (
	ResponsibleUs       = "us"
	ResponsibleCustomer = "customer"
	ResponsibleNone     = "none" // closed
)

// Subscription is an agent's tie to a channel.
type Subscription struct {
	ChannelID string `json:"-"`
	AgentID   string `json:"agent_id"`
	Type      string `json:"type"` // standard, informal
}

// The types of subscription.
const (
	SubscriptionStandard = "standard"
	SubscriptionInformal = "informal"
)

// MailAccount is an address of ours.
type MailAccount struct {
	ID                string    `json:"id"`
	Name              string    `json:"name"`
	Type              string    `json:"type"` // ticket, system
	Address           string    `json:"address"`
	Key               string    `json:"-"` // comparison form of Address
	Aliases           []string  `json:"aliases"`
	AliasKeys         []string  `json:"-"`
	DefaultChannelID  string    `json:"default_channel_id"`
	Active            bool      `json:"active"`
	State             string    `json:"state"` // ok, error, off, untested
	StateReason       string    `json:"state_reason"`
	NewTicketLimit    int       `json:"new_ticket_limit"`
	MaxMessageBytes   int64     `json:"max_message_bytes"`
	PlusAddressing    bool      `json:"plus_addressing"`
	BounceAddress     string    `json:"bounce_address"`
	Sign              bool      `json:"sign"`
	MessagesPerMinute int       `json:"messages_per_minute"` // 0: no limit
	CreatedAt         time.Time `json:"-"`
	LastReceivedAt    time.Time `json:"-"`
	LastSentAt        time.Time `json:"-"`

	TrustedSenders []TrustedSender `json:"trusted_senders,omitempty"`
}

// TrustedSender is a mailer whose verified mail is taken as it says.
type TrustedSender struct {
	Address  string `json:"address"`
	Customer string `json:"customer"` // one of the Customer words
}

// Where the mail of a trusted sender names the customer.
const (
	CustomerFrom    = "from"
	CustomerReplyTo = "reply_to" // a form's mail: the customer is who stands in Reply-To
)

// The types of mail account.
const (
	AccountTicket = "ticket"
	AccountSystem = "system"
)

// Agent is one who answers tickets.
type Agent struct {
	ID       string            `json:"id"`
	Name     string            `json:"name"`
	Email    string            `json:"email"`
	Key      string            `json:"-"` // comparison form of Email
	Role     string            `json:"role"`
	Active   bool              `json:"active"`
	Notify   map[string]string `json:"notify"`             // by role (owner, responsible, watcher, subscriber): one of the Notify words
	Timezone string            `json:"timezone,omitempty"` // IANA name; "": the desk's
	Password string            `json:"-"`                  // argon2id hash; not part of the desk snapshot
}

// How an agent is told of what happens to a ticket.
const (
	NotifyMail     = "mail"     // at once
	NotifyDigest   = "digest"   // in one mail a day
	NotifyEvent    = "event"    // in the console alone
	NotifyRelevant = "relevant" // subscribers: mail of what customers write, what comes here, and trouble
	NotifyNone     = "none"
)

// NotifyBy gives the way that an agent chose for a role: mail, if he didn't.
func (a *Agent) NotifyBy(role string) string {
	if way := a.Notify[role]; way != "" {
		return way
	}
	return NotifyMail
}

// The roles of an agent.
const (
	RoleAgent = "agent"
	RoleAdmin = "admin"
)

// Token lets a program act as an agent. Only its SHA-256 is kept.
type Token struct {
	ID         string    `json:"id"`
	Name       string    `json:"name"`
	AgentID    string    `json:"agent_id"`
	Hash       string    `json:"-"` // hex SHA-256
	Scopes     []string  `json:"scopes"`
	CreatedAt  time.Time `json:"created_at"`
	ExpiresAt  time.Time `json:"expires_at"`
	LastUsedAt time.Time `json:"last_used_at"`
}

// Contact is the customer's person.
type Contact struct {
	ID            string         `json:"id"`
	Name          string         `json:"name"`
	Emails        []ContactEmail `json:"-"`
	Phones        []string       `json:"phones"`
	CompanyID     string         `json:"company_id"`
	ExternalID    string         `json:"external_id"`
	Provisional   bool           `json:"provisional"`
	CreatedAt     time.Time      `json:"created_at"`
	UpdatedAt     time.Time      `json:"updated_at"`
	SyncedAt      time.Time      `json:"-"`             // what the outside CRM said of it by then is in it; zero: nothing
	Undeliverable bool           `json:"undeliverable"` // one of its addresses bounced for good
}

// ContactEmail is one address of a contact. An address belongs to one contact.
type ContactEmail struct {
	Address       string
	Key           string
	Undeliverable bool
}

// ContactLookup is a provisional contact that the outside CRM is asked for again.
type ContactLookup struct {
	ContactID string
	Attempt   int // look-ups made so far, beside the one when the contact was made
	DueAt     time.Time
}

// Company is the customer's firm.
type Company struct {
	ID         string    `json:"id"`
	Name       string    `json:"name"`
	Domains    []string  `json:"domains"` // A-labels, lower case
	ParentID   string    `json:"parent_id"`
	ExternalID string    `json:"external_id"`
	CreatedAt  time.Time `json:"created_at"`
	UpdatedAt  time.Time `json:"updated_at"`
}

// DKIMKey signs the mail of a domain.
type DKIMKey struct {
	ID          string    `json:"id"`
	Domain      string    `json:"domain"` // A-labels, lower case
	Selector    string    `json:"selector"`
	Algorithm   string    `json:"algorithm"` // rsa, ed25519
	State       string    `json:"state"`     // new, active, retired
	Public      string    `json:"-"`         // base64 of p=
	Private     []byte    `json:"-"`         // sealed under the master key
	CreatedAt   time.Time `json:"created_at"`
	ActivatedAt time.Time `json:"activated_at"`
}

// The states of a DKIM key.
const (
	DKIMNew     = "new"     // waits until DNS shows it
	DKIMActive  = "active"  // signs
	DKIMRetired = "retired" // signs no more; its record stays for mail under way
)

// Desk is a snapshot of the small tables that every mail needs: what the desk
// is made of. It is shared between callers and never changed; a new one is
// read when the desk's version moved, on whatever node that was.
type Desk struct {
	Version       int64
	Channels      []Channel
	Statuses      []Status // by position
	Accounts      []MailAccount
	Agents        []Agent
	Subscriptions []Subscription
	Markers       []Marker
	Templates     []Template
	CustomFields  []CustomField
	Calendars     []Calendar
	ServiceLevels []ServiceLevel
	Rules         []Rule // by position
	Webhooks      []Webhook

	accounts map[string]*MailAccount // by key of address or alias
	agents   map[string]*Agent       // by key of email
}
