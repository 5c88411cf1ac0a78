package main

import (
	"encoding/json"
	"fmt"
	"io"
	"text/tabwriter"
)

// writeJSON prints a result for programs.
func writeJSON(w io.Writer, r result) error {
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	return encoder.Encode(r)
}

// writeTable prints a result for people.
func writeTable(w io.Writer, r result) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	line := func(format string, args ...any) { _, _ = fmt.Fprintf(t, format+"\t\n", args...) } // Flush tells
	line("target\ts\tmsg/s\tof %s\tp50 ms\tp99 ms\tCPU µs\tdb CPU µs\tfailed", r.Limit)
	for _, x := range r.Rows {
		line("%s\t%d\t%.0f\t%.2f\t%.2f\t%.2f\t%.0f\t%.0f\t%d",
			x.Target, x.Sessions, x.PerSecond, x.Ratio, x.P50, x.P99, x.CPU, x.DatabaseCPU, x.Failed)
	}
	line("")
	line("target\tpeak RSS MB\tdb peak RSS MB")
	for _, x := range r.Peaks {
		line("%s\t%.0f\t%.0f", x.Target, float64(x.Own)/1e6, float64(x.Database)/1e6)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, x := range r.Rows {
		if x.Complaint != "" {
			if _, err := fmt.Fprintf(w, "%s, s=%d: first failure: %s\n", x.Target, x.Sessions, x.Complaint); err != nil {
				return err
			}
		}
	}
	return nil
}
