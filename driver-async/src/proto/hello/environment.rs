//! Where the program runs, as far as the client metadata tells.

use bson::RawDocumentBuf;

use crate::{error::Result, proto::wire::DocumentWriter};

/// The operating system that the program runs on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OperatingSystem {
    /// The family, such as `Linux`; `unknown` when there is no better word.
    pub kind: String,
    /// The full name, such as `Debian GNU/Linux 13 (trixie)`.
    pub name: Option<String>,
    /// The processor's architecture, such as `x86_64`.
    pub architecture: Option<String>,
    /// The version, such as `13`.
    pub version: Option<String>,
}

impl OperatingSystem {
    pub(super) fn write(&self, os: &mut DocumentWriter<'_>) -> Result<()> {
        self.write_kind(os)?;
        append_optional(os, "name", self.name.as_deref())?;
        append_optional(os, "architecture", self.architecture.as_deref())?;
        append_optional(os, "version", self.version.as_deref())
    }

    pub(super) fn write_kind(&self, os: &mut DocumentWriter<'_>) -> Result<()> {
        os.append_str(
            "type",
            if self.kind.is_empty() {
                "unknown"
            } else {
                &self.kind
            },
        )
    }
}

/// The coding agent, the function service and the container that the program runs in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Environment {
    agent: Option<String>,
    function: Option<Function>,
    runtime: Option<&'static str>,
    orchestrator: Option<&'static str>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Function {
    name: &'static str,
    timeout_sec: Option<i32>,
    memory_mb: Option<i32>,
    region: Option<String>,
}

impl Environment {
    /// Recognises the environment by its variables, as `client.env` of the handshake
    /// specification defines.
    ///
    /// `has_dockerenv` says whether the file `/.dockerenv` exists.
    pub fn detect(variable: &dyn Fn(&str) -> Option<String>, has_dockerenv: bool) -> Self {
        let populated = |name: &str| variable(name).filter(|value| !value.is_empty());
        Self {
            agent: agent(variable),
            function: Function::detect(&populated),
            runtime: has_dockerenv.then_some("docker"),
            orchestrator: populated("KUBERNETES_SERVICE_HOST").map(|_| "kubernetes"),
        }
    }

    /// Whether the program runs as a function of a cloud service.
    pub fn is_function(&self) -> bool {
        self.function.is_some()
    }

    /// The `env` document; `None` when nothing is known.
    pub(super) fn document(&self) -> Result<Option<RawDocumentBuf>> {
        let container = self.runtime.is_some() || self.orchestrator.is_some();
        if self.agent.is_none() && self.function.is_none() && !container {
            return Ok(None);
        }
        let mut bytes = Vec::new();
        let mut env = DocumentWriter::begin(&mut bytes);
        append_optional(&mut env, "agent", self.agent.as_deref())?;
        if let Some(function) = &self.function {
            function.write(&mut env)?;
        }
        if container {
            env.append_document_with("container", |container| {
                append_optional(container, "runtime", self.runtime)?;
                append_optional(container, "orchestrator", self.orchestrator)
            })?;
        }
        env.end()?;
        Ok(Some(RawDocumentBuf::from_bytes(bytes)?))
    }

    /// The coding agent that runs the program.
    pub(super) fn agent(&self) -> Option<&str> {
        self.agent.as_deref()
    }

    /// The name of the function service.
    pub(super) fn name(&self) -> Option<&'static str> {
        self.function.as_ref().map(|function| function.name)
    }
}

impl Function {
    fn detect(populated: &dyn Fn(&str) -> Option<String>) -> Option<Self> {
        let has = |name: &str| populated(name).is_some();
        let aws = populated("AWS_EXECUTION_ENV").is_some_and(|v| v.starts_with("AWS_Lambda_"))
            || has("AWS_LAMBDA_RUNTIME_API");
        let azure = has("FUNCTIONS_WORKER_RUNTIME");
        let gcp = has("K_SERVICE") || has("FUNCTION_NAME");
        let vercel = has("VERCEL");
        let number = |name: &str| populated(name)?.parse().ok();
        let plain = |name| Self {
            name,
            timeout_sec: None,
            memory_mb: None,
            region: None,
        };
        match (aws, azure, gcp, vercel) {
            // Vercel's functions run on AWS, so both sets of variables are there.
            (_, false, false, true) => Some(Self {
                region: populated("VERCEL_REGION"),
                ..plain("vercel")
            }),
            (true, false, false, false) => Some(Self {
                memory_mb: number("AWS_LAMBDA_FUNCTION_MEMORY_SIZE"),
                region: populated("AWS_REGION"),
                ..plain("aws.lambda")
            }),
            (false, true, false, false) => Some(plain("azure.func")),
            (false, false, true, false) => Some(Self {
                timeout_sec: number("FUNCTION_TIMEOUT_SEC"),
                memory_mb: number("FUNCTION_MEMORY_MB"),
                region: populated("FUNCTION_REGION"),
                ..plain("gcp.func")
            }),
            _ => None,
        }
    }

    fn write(&self, env: &mut DocumentWriter<'_>) -> Result<()> {
        env.append_str("name", self.name)?;
        if let Some(seconds) = self.timeout_sec {
            env.append_i32("timeout_sec", seconds)?;
        }
        if let Some(megabytes) = self.memory_mb {
            env.append_i32("memory_mb", megabytes)?;
        }
        append_optional(env, "region", self.region.as_deref())
    }
}

/// What coding agents set in the programs that they run, and what each is called in the metadata;
/// the first that is set counts.
const AGENTS: [(&str, &str); 12] = [
    ("CLAUDECODE", "claude_code"),
    ("CLAUDE_CODE_ENTRYPOINT", "claude_code"),
    ("CURSOR_AGENT", "cursor"),
    ("CODEX_SANDBOX", "codex_cli"),
    ("CLINE_ACTIVE", "cline"),
    ("GEMINI_CLI", "gemini_cli"),
    ("AUGMENT_AGENT", "auggie_cli"),
    ("OPENCODE", "opencode_client"),
    ("OPENCODE_CLIENT", "opencode_client"),
    ("TRAE_AI_SHELL_ID", "trae_ai"),
    ("GOOSE_TERMINAL", "goose"),
    ("GOOSE_AGENT", "goose"),
];

/// The variable for all other agents, which holds the agent's own name for itself. It comes last,
/// because agents that have a variable of their own write their changing versions into this one.
const OTHER_AGENT: &str = "AI_AGENT";
const OTHER_AGENT_LIMIT: usize = 64;

/// Recognises the coding agent, as `client.env.agent` of the handshake specification defines.
fn agent(variable: &dyn Fn(&str) -> Option<String>) -> Option<String> {
    let populated = |name: &str| {
        let value = variable(name)?;
        let value = value.trim();
        (!value.is_empty()).then(|| value.to_lowercase())
    };
    let known = AGENTS.iter().find(|(name, _)| populated(name).is_some());
    if let Some((_, agent)) = known {
        return Some((*agent).to_owned());
    }
    let mut agent = populated(OTHER_AGENT)?;
    if agent == "1" || agent == "true" {
        return Some("ai_agent".to_owned());
    }
    agent.truncate(agent.floor_char_boundary(OTHER_AGENT_LIMIT));
    Some(agent)
}

fn append_optional(writer: &mut DocumentWriter<'_>, key: &str, value: Option<&str>) -> Result<()> {
    value.map_or(Ok(()), |value| writer.append_str(key, value))
}

#[cfg(test)]
mod tests {
    use bson::{Document, RawDocument, doc};

    use super::*;

    fn detected(variables: &[(&str, &str)], has_dockerenv: bool) -> Option<Document> {
        let variable = |wanted: &str| {
            let found = variables.iter().find(|(name, _)| *name == wanted);
            found.map(|(_, value)| (*value).to_owned())
        };
        let env = Environment::detect(&variable, has_dockerenv)
            .document()
            .unwrap();
        env.map(|env| Document::try_from(env.as_ref() as &RawDocument).unwrap())
    }

    const LAMBDA: (&str, &str) = ("AWS_EXECUTION_ENV", "AWS_Lambda_java8");

    #[test]
    fn recognises_each_function_service() {
        for (variables, wanted) in [
            (
                &[
                    LAMBDA,
                    ("AWS_REGION", "us-east-2"),
                    ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "1024"),
                ][..],
                doc! { "name": "aws.lambda", "memory_mb": 1024, "region": "us-east-2" },
            ),
            (
                &[("AWS_LAMBDA_RUNTIME_API", "x")],
                doc! { "name": "aws.lambda" },
            ),
            (
                &[("FUNCTIONS_WORKER_RUNTIME", "node")],
                doc! { "name": "azure.func" },
            ),
            (
                &[
                    ("K_SERVICE", "servicename"),
                    ("FUNCTION_MEMORY_MB", "1024"),
                    ("FUNCTION_TIMEOUT_SEC", "60"),
                    ("FUNCTION_REGION", "us-central1"),
                ],
                doc! {
                    "name": "gcp.func", "timeout_sec": 60, "memory_mb": 1024,
                    "region": "us-central1",
                },
            ),
            (&[("FUNCTION_NAME", "f")], doc! { "name": "gcp.func" }),
            (
                &[("VERCEL", "1"), ("VERCEL_REGION", "cdg1")],
                doc! { "name": "vercel", "region": "cdg1" },
            ),
            (
                &[("VERCEL", "1"), LAMBDA, ("AWS_REGION", "r")],
                doc! { "name": "vercel" },
            ),
        ] {
            assert_eq!(detected(variables, false), Some(wanted), "{variables:?}");
        }
    }

    #[test]
    fn recognises_coding_agents() {
        let long = "é".repeat(40);
        for (variables, agent) in [
            (&[("CLAUDECODE", "1")][..], "claude_code"),
            (&[("CLAUDE_CODE_ENTRYPOINT", "cli")], "claude_code"),
            (&[("OPENCODE", "0")], "opencode_client"),
            (&[("GEMINI_CLI", "1"), ("CURSOR_AGENT", "1")], "cursor"),
            (&[("AI_AGENT", "x"), ("GOOSE_AGENT", "1")], "goose"),
            (&[("AI_AGENT", " My-Agent@2 ")], "my-agent@2"),
            (&[("AI_AGENT", "TRUE")], "ai_agent"),
            (&[("AI_AGENT", "1"), ("CLAUDECODE", " ")], "ai_agent"),
            (&[("AI_AGENT", &long)], &"é".repeat(32)),
        ] {
            let wanted = Some(doc! { "agent": agent });
            assert_eq!(detected(variables, false), wanted, "{variables:?}");
        }
        assert_eq!(detected(&[("AI_AGENT", " "), ("AGENT", "x")], false), None);
    }

    #[test]
    fn ambiguous_and_unknown_environments_are_left_out() {
        for variables in [
            &[LAMBDA, ("FUNCTIONS_WORKER_RUNTIME", "node")][..],
            &[("VERCEL", "1"), ("K_SERVICE", "s")],
            &[("VERCEL", "1"), LAMBDA, ("K_SERVICE", "s")],
            &[("AWS_EXECUTION_ENV", "EC2")],
            &[("VERCEL", "")],
            &[("AWS_REGION", "us-east-2")],
            &[],
        ] {
            assert_eq!(detected(variables, false), None, "{variables:?}");
        }
    }

    #[test]
    fn a_number_that_is_none_is_left_out() {
        for size in ["big", "1e3", "99999999999", ""] {
            let variables = [LAMBDA, ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", size)];
            assert_eq!(
                detected(&variables, false),
                Some(doc! { "name": "aws.lambda" }),
                "{size}"
            );
        }
    }

    #[test]
    fn a_container_is_named_beside_a_function_service() {
        let kubernetes = ("KUBERNETES_SERVICE_HOST", "1");
        assert_eq!(
            detected(&[LAMBDA, ("AWS_REGION", "us-east-2"), kubernetes], false),
            Some(doc! {
                "name": "aws.lambda", "region": "us-east-2",
                "container": { "orchestrator": "kubernetes" },
            })
        );
        assert_eq!(
            detected(&[LAMBDA, ("CLAUDECODE", "1"), kubernetes], false),
            Some(doc! {
                "agent": "claude_code", "name": "aws.lambda",
                "container": { "orchestrator": "kubernetes" },
            })
        );
        assert_eq!(
            detected(&[kubernetes], true),
            Some(doc! { "container": { "runtime": "docker", "orchestrator": "kubernetes" } })
        );
        assert_eq!(
            detected(&[], true),
            Some(doc! { "container": { "runtime": "docker" } })
        );
    }
}
