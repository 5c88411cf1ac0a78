package store

import (
	"errors"
	"fmt"
)

// Code says what kind of failure an Error is. It is what the SMTP reply table
// and the HTTP problem table decide by; nothing else in an error reaches a
// client unasked.
type Code string

// The codes. Everything that is not an *Error counts as CodeInternal.
const (
	CodeInvalid     Code = "invalid"     // the caller's input; Field says which
	CodeNotFound    Code = "not_found"   // it is not there, or the caller may not see it
	CodeForbidden   Code = "forbidden"   // the caller's role does not allow it
	CodeConflict    Code = "conflict"    // the thing is in a state that does not allow it
	CodeUnavailable Code = "unavailable" // our own trouble, and temporary: try again
	CodeTooLarge    Code = "too_large"   // over a limit of size
	CodeRejected    Code = "rejected"    // refused by a policy of the desk
	CodeData        Code = "data"        // the database refuses these very bytes: this mail's fault alone
	CodeInternal    Code = "internal"    // a fault of the program
)

// The reasons: one machine-readable word beside a Code, where a caller must
// tell two errors of one code apart.
const (
	ReasonUnknownRecipient = "unknown_recipient" // no account has this address
	ReasonUnknownDomain    = "unknown_domain"    // no account has an address in this domain
	ReasonAccountOff       = "account_off"       // the mail account is switched off
	ReasonNoAccount        = "no_account"        // there is no mail account at all yet, or none to send with
	ReasonNoAddress        = "no_address"        // nobody to send to
	ReasonDKIMRequired     = "dkim_required"     // the channel refuses mail without an aligned pass
	ReasonDKIMUnknown      = "dkim_unknown"      // the same, while DNS fails
	ReasonDiskFull         = "disk_full"         // no room for the mail
	ReasonInUse            = "in_use"            // something refers to it
	ReasonVersion          = "version"           // changed by somebody else meanwhile
	ReasonDuplicate        = "duplicate"         // a natural key that exists
)

// Error is the one error type that crosses rooms.
type Error struct {
	Code    Code
	Reason  string // one of the Reason words, or ""
	Field   string // the input's field for CodeInvalid, or ""
	Message string // for people; never holds a value that the caller typed
	Err     error  // the cause, for the log only; may be nil
}

// Error gives the text for a log.
func (e *Error) Error() string {
	text := string(e.Code)
	if e.Field != "" {
		text += " " + e.Field
	}
	if e.Message != "" {
		text += ": " + e.Message
	}
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	return text
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

// Errorf makes an Error of a code with a message for people.
func Errorf(code Code, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// Invalid makes the error of one input field.
func Invalid(field, format string, args ...any) *Error {
	return &Error{Code: CodeInvalid, Field: field, Message: fmt.Sprintf(format, args...)}
}

// CodeOf gives the code of the first Error in err's chain, CodeInternal where
// there is none, and "" for nil.
func CodeOf(err error) Code {
	if err == nil {
		return ""
	}
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Code
	}
	return CodeInternal
}

// ReasonOf gives the reason word of the first Error in err's chain, or "".
func ReasonOf(err error) string {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Reason
	}
	return ""
}

// IsNotFound tells whether err says that the thing is not there.
func IsNotFound(err error) bool { return CodeOf(err) == CodeNotFound }
