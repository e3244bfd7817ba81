package main

import (
	"os"
	"slices"
	"strings"

	templates "roadbed.dev/roadbed/backstage-templates"
	"roadbed.dev/roadbed/sidecar/internal/offering"
)

// asking are the commands that take an offering and its parameters.
var asking = [][]string{{"estimate"}, {"evaluate"}, {"request", "create"}}

// withOfferingFlags turns an offering's own flags, such as --storage-gb 200,
// into the --param storage_gb=200 that the commands know. Arguments that are no
// flag of the named offering stay as they are, for the parser to judge.
func withOfferingFlags(args []string) []string {
	for _, command := range asking {
		if len(args) > len(command) && slices.Equal(args[:len(command)], command) && !strings.HasPrefix(args[len(command)], "-") {
			return spelledOut(args, offeringFlags(args[len(command)], args))
		}
	}
	return args
}

// offeringFlags are the flags of an offering, none when it cannot be read: the
// command says why.
func offeringFlags(id string, args []string) []offering.Flag {
	dir := os.Getenv("ROADBED_OFFERINGS")
	for i, arg := range args {
		if value, ok := strings.CutPrefix(arg, "--offerings="); ok {
			dir = value
		} else if arg == "--offerings" && i+1 < len(args) {
			dir = args[i+1]
		}
	}
	loaded, _, err := offering.Load(folder(dir, templates.FS), id)
	if err != nil {
		return nil
	}
	return offering.Flags(loaded.Offering)
}

// spelledOut replaces the flags. A boolean's may stand alone, for true.
func spelledOut(args []string, flags []offering.Flag) []string {
	var spelled []string
	for i := 0; i < len(args); i++ {
		name, value, hasValue := strings.Cut(args[i], "=")
		at := slices.IndexFunc(flags, func(f offering.Flag) bool { return "--"+f.Name == name })
		switch {
		case at < 0 || flags[at].Type == "map":
			spelled = append(spelled, args[i])
			continue
		case hasValue:
		case flags[at].Type == "boolean":
			value = "true"
		case i+1 < len(args):
			i++
			value = args[i]
		default: // its value is missing: the parser says so of --param
			spelled = append(spelled, "--param")
			continue
		}
		spelled = append(spelled, "--param="+flags[at].Parameter+"="+value)
	}
	return spelled
}
