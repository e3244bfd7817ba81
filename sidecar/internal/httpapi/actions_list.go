package httpapi

// schema is a JSON Schema.
type schema = map[string]any

// schemaObject is one of an object with these members alone.
func schemaObject(properties schema, required ...string) schema {
	all := schema{"type": "object", "properties": properties, "additionalProperties": false}
	if len(required) > 0 {
		all["required"] = required
	}
	return all
}

func schemaText(description string) schema {
	return schema{"type": "string", "description": description}
}

func schemaBool(description string) schema {
	return schema{"type": "boolean", "description": description}
}

func schemaValues(description string) schema {
	return schema{"type": "object", "description": description, "additionalProperties": true}
}

func schemaList(item schema, description string) schema {
	return schema{"type": "array", "items": item, "description": description}
}

var (
	offeringInput   = schemaText("Id of the offering, such as postgres-database; roadbed:list-offerings lists them.")
	parametersInput = schemaValues("The offering's parameters by name, as roadbed:list-offerings describes them.")
	secretsInput    = schemaValues("Sensitive parameters by name; they are sealed before anything is stored.")
	requestKeyInput = schemaText("Names this ask, so that it is made once however often it is sent: ${{ context.task.id }} in a template. " +
		"Another key, or other input, is another ask.")
	instanceInput = schemaText("Id of the instance, or its entity ref such as resource:dev/orders.postgres-database.")
)

// outcomeOutput is the schema of outcome.
var outcomeOutput = schemaObject(schema{
	"decision": schema{
		"type": "string", "enum": []string{"allow", "warn", "require_approval", "deny", "conflict", "invalid", "not_found"},
		"description": "What policy decided, or why it could not decide: conflict (the name is taken, or something else is under way), invalid (the input has faults), not_found.",
	},
	"accepted":   schemaBool("Whether it was asked for, or would be: for require_approval too."),
	"text":       schemaText("The same in words for a person, Markdown, each reason on its line."),
	"reasons":    schemaList(schema{"type": "string"}, "Each denial, needed approval, warning or fault with its way out."),
	"estimate":   schemaText("The price, such as $85.50 / month (compute $60.00, storage $25.50); empty when it is not known."),
	"requestId":  schemaText("Id of the request, denied ones included; empty when nothing was stored."),
	"requestUrl": schemaText("The request's page in the portal; empty where the portal has none."),
	"entityRef":  schemaText("The instance's entity in the catalog."),
	"state":      schemaText("The request's state: queued, planning, awaiting_approval, applying, succeeded, failed, denied, cancelled."),
}, "decision", "accepted", "text", "reasons")

// actions are all that there are, in the order in which they are listed.
var actions = []action{
	{
		name: "list-offerings", title: "List offerings", may: mayRead,
		description: "List the infrastructure that can be asked for, with each offering's parameters as a JSON Schema and the environments there are. Read this before asking for anything.",
		readOnly:    true, idempotent: true,
		input: schemaObject(schema{}),
		output: schemaObject(schema{
			"offerings": schemaList(schemaObject(schema{
				"id": schemaText("What to ask for it by."), "title": schemaText("Its name."), "description": schemaText("What it is."),
				"version": schemaText("Its version."), "parameters": schemaValues("JSON Schema of its parameters."),
			}), "The offerings."),
			"environments": schemaList(schema{"type": "string"}, "Where things can be made."),
		}, "offerings", "environments"),
		run: listOfferingsAction,
	},
	{
		name: "check", title: "Check price and policy", may: mayRead,
		description: "Say what infrastructure would cost a month and whether policy allows it, with every reason and the smallest changes that would be allowed. Asks for nothing and changes nothing.",
		readOnly:    true, idempotent: true,
		input:  schemaObject(schema{"offering": offeringInput, "parameters": parametersInput, "secrets": secretsInput}, "offering", "parameters"),
		output: outcomeOutput,
		run:    checkAction,
	},
	{
		name: "submit", title: "Ask for infrastructure", may: mayCreate,
		description: "Ask for infrastructure for the person who is signed in. It is judged at once: a denial is an outcome with its reasons, not an error. What is accepted is made in the background; follow it with roadbed:get-request. It costs money every month: check first.",
		input: schemaObject(schema{
			"offering": offeringInput, "parameters": parametersInput, "secrets": secretsInput, "requestKey": requestKeyInput,
			"expiresIn": schemaText("How long it lives, such as 24h or 7d; empty for the offering's own life."),
		}, "offering", "parameters"),
		output: outcomeOutput,
		run:    submitAction,
	},
	{
		name: "expect-accepted", title: "Fail unless accepted", may: mayRead,
		description: "End a template's task as failed unless an earlier step's ask was accepted, so that a denied task is red. Give it that step's outcome; log its text in a step before.",
		readOnly:    true, idempotent: true,
		input:  schemaObject(schema{"accepted": schemaBool("The step's output accepted."), "text": schemaText("The step's output text.")}, "accepted"),
		output: schemaObject(schema{"accepted": schemaBool("Always true.")}),
		run:    expectAction,
	},
	{
		name: "get-request", title: "Look at a request", may: mayRead,
		description: "Say how a request fares: its state, each step, its outputs when it has succeeded, and what went wrong and what to do when it has failed.",
		readOnly:    true, idempotent: true,
		input: schemaObject(schema{"requestId": schemaText("Id of the request.")}, "requestId"),
		output: schemaObject(schema{
			"found": schemaBool("Whether there is such a request and the person may see it."), "text": schemaText("How it fares, in words."),
			"state": schemaText("Its state."), "done": schemaBool("Whether nothing more will happen to it."), "status": schemaText("Its state in the words of the founding API."),
			"steps":   schemaList(schemaObject(schema{"step": schema{"type": "integer"}, "name": schemaText("What it does."), "status": schemaText("pending, in_progress, completed or failed."), "details": schemaText("More.")}), "Its steps, in order."),
			"outputs": schemaValues("Its results when it has succeeded; secrets are never among them."), "error": schemaText("Why it failed, and the way out."),
			"entityRef": schemaText("The instance's entity in the catalog."), "requestUrl": schemaText("Its page in the portal; empty where the portal has none."),
		}, "found", "text"),
		run: getRequestAction,
	},
	{
		name: "list-instances", title: "List infrastructure", may: mayRead,
		description: "List the living infrastructure that the person's teams own, with what each costs a month.",
		readOnly:    true, idempotent: true,
		input: schemaObject(schema{"offering": schemaText("Of this offering alone."), "environment": schemaText("In this environment alone.")}),
		output: schemaObject(schema{
			"instances": schemaList(schemaObject(schema{
				"id": schemaText("Its id."), "entityRef": schemaText("Its entity in the catalog."), "name": schemaText("Its name."), "offering": schemaText("What it is."),
				"environment": schemaText("Where it is."), "owner": schemaText("Who owns it."), "state": schemaText("Its state."), "monthlyCost": schemaText("Its price a month."),
				"parameters": schemaValues("What it was asked for with; sensitive values are not shown."), "outputs": schemaValues("Its results."),
			}), "Up to 100, the newest first."),
			"more": schemaBool("Whether there are more than these."),
		}, "instances", "more"),
		run: listInstancesAction,
	},
	{
		name: "update", title: "Change infrastructure", may: mayUpdate,
		description: "Change parameters of something that exists. Judged as roadbed:submit is; some changes replace it, which policy may deny.",
		input: schemaObject(schema{
			"instance": instanceInput, "parameters": schemaValues("The parameters that change; null takes one back to its default."),
			"secrets": secretsInput, "requestKey": requestKeyInput,
		}, "instance", "parameters"),
		output: outcomeOutput,
		run:    updateAction,
	},
	{
		name: "destroy", title: "Destroy infrastructure", may: mayDelete,
		description: "Ask for the end of something that exists, with its data. This cannot be undone: ask the person first, and have them type the instance's name.",
		destructive: true, idempotent: true,
		input: schemaObject(schema{
			"instance": instanceInput, "confirm": schemaText("The instance's name, as the person typed it."), "requestKey": requestKeyInput,
		}, "instance", "confirm"),
		output: outcomeOutput,
		run:    destroyAction,
	},
}
