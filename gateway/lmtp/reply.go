package lmtp

import (
	"fmt"

	"github.com/emersion/go-smtp"

	"ticketgate/store"
)

// stage is where in a transaction an error came up.
type stage int

const (
	atRecipient stage = iota // the answer to RCPT
	atDelivery               // the answer after the dot
)

// The refusals. Their texts are constant: nothing of an error, and nothing that
// a client typed, reaches the wire through them.
var (
	replyUnknown      = smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: "No such recipient here"}
	replyNoRelay      = smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 7, 1}, Message: "This server takes no mail for that domain"}
	replyAccountOff   = smtp.SMTPError{Code: 450, EnhancedCode: smtp.EnhancedCode{4, 2, 1}, Message: "Mail account takes no mail at present"}
	replyTrouble      = smtp.SMTPError{Code: 451, EnhancedCode: smtp.EnhancedCode{4, 3, 0}, Message: "Temporary trouble here, try again later"}
	replyDiskFull     = smtp.SMTPError{Code: 452, EnhancedCode: smtp.EnhancedCode{4, 3, 1}, Message: "No room for the message at present"}
	replyTooLarge     = smtp.SMTPError{Code: 552, EnhancedCode: smtp.EnhancedCode{5, 3, 4}, Message: "Message is over the size limit"}
	replyDKIMRequired = smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 7, 22}, Message: "A valid and aligned DKIM signature is required"}
	replyDKIMUnknown  = smtp.SMTPError{Code: 451, EnhancedCode: smtp.EnhancedCode{4, 7, 5}, Message: "DKIM key cannot be looked up at present"}

	replyNestedMail   = smtp.SMTPError{Code: 503, EnhancedCode: smtp.EnhancedCode{5, 5, 1}, Message: "Sender was given already"}
	replyTooManyRcpts = smtp.SMTPError{Code: 452, EnhancedCode: smtp.EnhancedCode{4, 5, 3}, Message: "Too many recipients in one transaction"}
	replyBadSender    = smtp.SMTPError{Code: 553, EnhancedCode: smtp.EnhancedCode{5, 1, 7}, Message: "Sender is no mail address"}
	replyBadRecipient = smtp.SMTPError{Code: 553, EnhancedCode: smtp.EnhancedCode{5, 1, 3}, Message: "Recipient is no mail address"}
	replyNeedsUTF8    = smtp.SMTPError{Code: 553, EnhancedCode: smtp.EnhancedCode{5, 6, 7}, Message: "Address needs SMTPUTF8"}
)

// replyFor turns an error of the Backend or the Spool into the reply, and is
// the only place where that happens. nil means taken. What it does not know is
// trouble of ours and temporary: a 5xx makes the MTA bounce to a sender that may
// be forged.
func replyFor(err error, proto Protocol, at stage) *smtp.SMTPError {
	if err == nil {
		return nil
	}
	switch store.ReasonOf(err) {
	case store.ReasonAccountOff, store.ReasonNoAccount:
		return &replyAccountOff
	case store.ReasonDiskFull:
		return &replyDiskFull
	case store.ReasonDKIMUnknown:
		return &replyDKIMUnknown
	case store.ReasonDKIMRequired:
		return &replyDKIMRequired
	}
	switch {
	case at == atRecipient && store.CodeOf(err) == store.CodeNotFound:
		return unknown(proto, store.ReasonOf(err))
	case store.CodeOf(err) == store.CodeTooLarge:
		return &replyTooLarge
	}
	return &replyTrouble
}

// unknown is the answer to a recipient that nobody here has. LMTP knows no
// relaying, so there a domain is as unknown as a mailbox.
func unknown(proto Protocol, reason string) *smtp.SMTPError {
	if proto == SMTP && reason == store.ReasonUnknownDomain {
		return &replyNoRelay
	}
	return &replyUnknown
}

// ReplyText gives the LMTP reply that a recipient would get for an error of the
// Backend, or for nil, without sending it.
func ReplyText(err error) string {
	r := replyFor(err, LMTP, atRecipient)
	if r == nil {
		return "250 2.0.0"
	}
	return fmt.Sprintf("%d %d.%d.%d %s", r.Code, r.EnhancedCode[0], r.EnhancedCode[1], r.EnhancedCode[2], r.Message)
}

// oneReply makes the single answer that SMTP has out of those for each
// recipient: taken only if all were, the same refusal if all have it, the first
// if all are for good, and 451 otherwise, so that the client tries again.
func oneReply(replies []*smtp.SMTPError) *smtp.SMTPError {
	same, permanent := true, true
	for _, r := range replies {
		same = same && r == replies[0]
		permanent = permanent && r != nil && r.Code >= 500
	}
	if same || permanent {
		return replies[0]
	}
	return &replyTrouble
}
