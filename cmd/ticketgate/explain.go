package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"ticketgate/gateway/gateway"
	"ticketgate/store"
	"ticketgate/threading"
)

type explainCommand struct {
	File string `arg:"" help:"The mail, as a file; - is standard input."`
	To   string `help:"Recipient; default the first of the mail that an account has." placeholder:"ADDRESS"`
	From string `help:"Envelope sender; default the mail's author." placeholder:"ADDRESS"`
	JSON bool   `name:"json" help:"Print the whole document, as the API does."`
}

// Run prints what would become of the mail.
func (c *explainCommand) Run(ctx context.Context, w *world) error {
	raw, err := w.read(c.File)
	if err != nil {
		return err
	}
	core, err := w.core(ctx)
	if err != nil {
		return err
	}
	defer w.close(core)
	x, err := gateway.NewExplainer(core).Explain(ctx, raw, c.To, c.From)
	if err != nil {
		return err
	}
	if c.JSON {
		return w.printJSON(x)
	}
	return w.explained(core, x)
}

func (w *world) printJSON(v any) error {
	encoder := json.NewEncoder(w.stdout)
	encoder.SetIndent("", "  ")
	return encoder.Encode(v)
}

// explained prints the short form, for a person.
func (w *world) explained(core *gateway.Core, x threading.Explanation) error {
	var from []string
	for _, a := range x.Message.From {
		from = append(from, strings.TrimSpace(a.Name+" <"+a.Address+">"))
	}
	rows := [][2]string{
		{"subject", x.Message.Subject},
		{"from", strings.Join(from, ", ")},
		{"verdict", string(x.Auth.Verdict)},
		{"reply", x.Recipient.Reply},
		{"contact", strings.TrimSpace(x.Contact.Address + " " + bracketed(x.Contact.How))},
		{"outcome", strings.TrimSpace(x.Match.Outcome + " " + bracketed(x.Match.Reason))},
	}
	if x.Match.Ticket != nil {
		rows = append(rows, [2]string{"ticket", core.Threading.Reference(*x.Match.Ticket) + " " + bracketed(x.Match.By)})
	}
	for _, s := range x.Match.Signals {
		leads := ""
		if s.Ticket != 0 {
			leads = "-> " + core.Threading.Reference(s.Ticket) + " "
		}
		rows = append(rows, [2]string{"signal", fmt.Sprintf("%s %s %sweight %d %s", s.Kind, s.Value, leads, s.Weight, bracketed(s.Why))})
	}
	for _, r := range x.Rules {
		if r.Result == store.RuleUnmatched || r.Result == store.RuleStopped {
			continue
		}
		rows = append(rows, [2]string{"rule", strings.Join(append([]string{r.Name, bracketed(string(r.Result)), r.Why}, append(r.Did, r.Refused...)...), " ")})
	}
	acknowledged := "no"
	if x.Acknowledge.Will {
		acknowledged = "yes"
	}
	rows = append(rows, [2]string{"acknowledged", strings.TrimSpace(acknowledged + " " + bracketed(x.Acknowledge.Why))})
	for _, defect := range x.Message.Defects {
		rows = append(rows, [2]string{"defect", defect})
	}
	for _, row := range rows {
		if err := w.say("%-13s %s", row[0], row[1]); err != nil {
			return err
		}
	}
	return nil
}

func bracketed(text string) string {
	if text == "" {
		return ""
	}
	return "(" + text + ")"
}
