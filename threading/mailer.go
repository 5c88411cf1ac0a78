package threading

import (
	"slices"

	"ticketgate/store"
	"ticketgate/threading/message"
)

// trustedBy tells whether an account takes the verified mail of an address as it
// says, and where that names the customer.
func trustedBy(account *store.MailAccount, key string) (store.TrustedSender, bool) {
	for _, s := range account.TrustedSenders {
		if a, err := message.ParseAddress(s.Address); err == nil && a.Key() == key {
			return s, true
		}
	}
	return store.TrustedSender{}, false
}

// trustedMailer tells whether the mail is a trusted sender's, for all of its
// accounts, whose customer stands where the word says; "" is either.
func (f *filing) trustedMailer(customer string) bool {
	return f.sole && f.Auth.Verdict == store.Verified && len(f.accounts) > 0 &&
		!slices.ContainsFunc(f.accounts, func(t target) bool {
			s, ok := trustedBy(t.account, f.author.Key())
			return !ok || customer != "" && s.Customer != customer
		})
}

// byMailer takes the mail of a trusted form for that of the customer in its
// Reply-To. What the mailer says of itself, that it is a machine, is not said
// of him. Whoever filled the form in could have typed anybody's address: it
// opens tickets, and gives no right to those that are there.
func (f *filing) byMailer() {
	list := f.Message.ReplyTo
	if !f.trustedMailer(store.CustomerReplyTo) || len(list) != 1 || !list[0].Valid() || !f.trusts("reply-to") {
		return
	}
	customer := list[0]
	if f.ours(customer) || f.desk.AgentByKey(customer.Key()) != nil || isReport(f.Message) {
		return
	}
	mail, parsed := *f.delivered, *f.Message
	parsed.Automatic = message.Automatic{}
	mail.Message, mail.author, mail.sole = &parsed, customer, true
	f.delivered, f.mailed = &mail, true
}
