//! Files in a GridFS bucket.

use bson::spec::BinarySubtype;
use bson::{Binary, Bson, Document};

use super::Perform;
use super::flavor::driver::action::Action;
use super::flavor::driver::gridfs::GridFsBucket;
use super::flavor::{collect, go};
use super::{Arguments, Failure, Returned};
use crate::unified::arguments::with_arguments;
use crate::unified::matching::bytes_of_hex;

/// The operation of that name.
pub(super) fn named(name: &str) -> Option<Perform<GridFsBucket>> {
    Some(match name {
        "delete" => delete,
        "deleteByName" => delete_by_name,
        "download" => download,
        "downloadByName" => download_by_name,
        "drop" => drop_bucket,
        "find" => find,
        "rename" => rename,
        "renameByName" => rename_by_name,
        "upload" | "uploadWithId" => upload,
        _ => return None,
    })
}

fn upload(bucket: &GridFsBucket, mut arguments: Arguments<'_>) -> Result<Returned, Failure> {
    let name: String = arguments.need("filename")?;
    let source: Document = arguments.need("source")?;
    let source = bytes(&source)?;
    // This driver never makes the MD5 sums that the option turns off.
    arguments.take::<bool>("disableMD5")?;
    let action = bucket.upload_from_reader(name, &source[..]);
    let action = with_arguments!(action, arguments, {
        "timeoutMS" => timeout,
        "aliases" => aliases: Vec<String>,
        "chunkSizeBytes" => chunk_size_bytes,
        "contentType" => content_type: String,
        "id" => id: Bson,
        "metadata" => metadata,
    });
    Ok(Returned::Value(go!(action)?))
}

/// The bytes that a test file gives as `{ $$hexBytes: "12ab" }`.
fn bytes(source: &Document) -> Result<Vec<u8>, String> {
    let mut fields = source.iter();
    let bytes = match (fields.next(), fields.next()) {
        (Some((name, Bson::String(text))), None) if name == "$$hexBytes" => bytes_of_hex(text),
        _ => None,
    };
    bytes.ok_or_else(|| format!("argument `source`: expected $$hexBytes, found {source}"))
}

fn download(bucket: &GridFsBucket, mut arguments: Arguments<'_>) -> Result<Returned, Failure> {
    let id: Bson = arguments.need("id")?;
    let mut content = Vec::new();
    let action = bucket.download_to_writer(id, &mut content);
    go!(with_arguments!(action, arguments, { "timeoutMS" => timeout }))?;
    Ok(returned(content))
}

fn download_by_name(
    bucket: &GridFsBucket,
    mut arguments: Arguments<'_>,
) -> Result<Returned, Failure> {
    let name: String = arguments.need("filename")?;
    let mut content = Vec::new();
    let action = bucket.download_to_writer_by_name(name, &mut content);
    let action = with_arguments!(action, arguments, {
        "timeoutMS" => timeout,
        "revision" => revision,
    });
    go!(action)?;
    Ok(returned(content))
}

fn returned(content: Vec<u8>) -> Returned {
    Returned::Value(Bson::Binary(Binary {
        subtype: BinarySubtype::Generic,
        bytes: content,
    }))
}

fn find(bucket: &GridFsBucket, mut arguments: Arguments<'_>) -> Result<Returned, Failure> {
    let filter = arguments.need("filter")?;
    let action = with_arguments!(bucket.find(filter), arguments, {
        "timeoutMS" => timeout,
        "allowDiskUse" => allow_disk_use,
        "batchSize" => batch_size,
        "limit" => limit,
        "maxTimeMS" => max_time,
        "noCursorTimeout" => no_cursor_timeout,
        "skip" => skip,
        "sort" => sort,
    });
    let cursor = go!(action)?.with_type::<Document>();
    let files: Vec<Document> = collect!(cursor)?;
    Ok(Returned::Value(files.into()))
}

fn delete(bucket: &GridFsBucket, mut arguments: Arguments<'_>) -> Result<Returned, Failure> {
    let id: Bson = arguments.need("id")?;
    let action = with_arguments!(bucket.delete(id), arguments, { "timeoutMS" => timeout });
    go!(action)?;
    Ok(Returned::Nothing)
}

fn delete_by_name(
    bucket: &GridFsBucket,
    mut arguments: Arguments<'_>,
) -> Result<Returned, Failure> {
    let name: String = arguments.need("filename")?;
    let action =
        with_arguments!(bucket.delete_by_name(name), arguments, { "timeoutMS" => timeout });
    go!(action)?;
    Ok(Returned::Nothing)
}

fn rename(bucket: &GridFsBucket, mut arguments: Arguments<'_>) -> Result<Returned, Failure> {
    let id: Bson = arguments.need("id")?;
    let name: String = arguments.need("newFilename")?;
    let action = with_arguments!(bucket.rename(id, name), arguments, { "timeoutMS" => timeout });
    go!(action)?;
    Ok(Returned::Nothing)
}

fn rename_by_name(
    bucket: &GridFsBucket,
    mut arguments: Arguments<'_>,
) -> Result<Returned, Failure> {
    let name: String = arguments.need("filename")?;
    let new_name: String = arguments.need("newFilename")?;
    let action = with_arguments!(bucket.rename_by_name(name, new_name), arguments, { "timeoutMS" => timeout });
    go!(action)?;
    Ok(Returned::Nothing)
}

fn drop_bucket(bucket: &GridFsBucket, mut arguments: Arguments<'_>) -> Result<Returned, Failure> {
    let action = with_arguments!(bucket.drop(), arguments, { "timeoutMS" => timeout });
    go!(action)?;
    Ok(Returned::Nothing)
}
