//! A program written for the `mongodb` crate compiles with the crate's name changed, and works.
//!
//! Everything below the next line is such a program: a shop, in the idioms that users of that
//! crate write. It is kept as it would be there, so what would be nicer here has no place in it.

extern crate motorcade as mongodb;

use std::{
    collections::HashMap,
    fmt,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures_util::{AsyncReadExt, AsyncWriteExt, StreamExt, TryStreamExt};
use mongodb::{
    BoxFuture, Client, Collection, Cursor, Database, IndexModel, Namespace,
    action::Action,
    bson::{self, Bson, DateTime, Document, RawDocumentBuf, doc, oid::ObjectId},
    error::{
        Error, ErrorKind, GridFsErrorKind, GridFsFileIdentifier, InsertManyError,
        RETRYABLE_WRITE_ERROR, Result as MongoResult, WriteError, WriteFailure,
    },
    event::{
        EventHandler,
        cmap::CmapEvent,
        command::{CommandEvent, CommandStartedEvent},
    },
    gridfs::FilesCollectionDocument,
    options::{
        Acknowledgment, AggregateOptions, ClientOptions, Collation, CollationStrength,
        CollectionOptions, CountOptions, CreateCollectionOptions, CreateIndexOptions, Credential,
        CursorType, DatabaseOptions, DeleteOneModel, DeleteOptions, DistinctOptions,
        FindOneAndUpdateOptions, FindOneOptions, FindOptions, GridFsBucketOptions, Hint,
        IndexOptions, InsertManyOptions, ListCollectionsOptions, ListIndexesOptions, ReadConcern,
        ReadConcernLevel, ReadPreference, ReadPreferenceOptions, ReplaceOptions, ReturnDocument,
        SelectionCriteria, ServerAddress, ServerApi, ServerApiVersion, TimeseriesGranularity,
        TimeseriesOptions, Tls, TlsOptions, UpdateManyModel, UpdateModifications, UpdateOptions,
        ValidationAction, ValidationLevel, WriteConcern, WriteModel,
    },
    results::{
        CollectionSpecification, CollectionType, DeleteResult, InsertManyResult, InsertOneResult,
        UpdateResult,
    },
};
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
struct Product {
    #[serde(rename = "_id", skip_serializing_if = "Option::is_none")]
    id: Option<ObjectId>,
    sku: String,
    price: f64,
    stock: i64,
    #[serde(default)]
    tags: Vec<String>,
    created_at: Option<DateTime>,
}

#[derive(Debug, PartialEq, Deserialize, Serialize)]
struct TagTotal {
    #[serde(rename = "_id")]
    tag: String,
    total: i64,
}

#[derive(Debug, Deserialize)]
struct Borrowed<'a> {
    #[serde(borrow)]
    sku: &'a str,
}

/// The application's own error, as applications have them.
#[derive(Debug)]
enum ShopError {
    Taken(String),
    OutOfStock,
    Database(Error),
}

impl From<Error> for ShopError {
    fn from(error: Error) -> Self {
        Self::Database(error)
    }
}

impl fmt::Display for ShopError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Taken(sku) => write!(f, "{sku} is taken"),
            Self::OutOfStock => f.write_str("out of stock"),
            Self::Database(error) => write!(f, "database error: {error}"),
        }
    }
}

impl std::error::Error for ShopError {}

#[derive(Clone)]
struct Shop {
    db: Database,
    products: Collection<Product>,
}

async fn connect(uri: &str, commands: Arc<AtomicUsize>) -> MongoResult<Client> {
    let mut client_options = ClientOptions::parse(uri).await?;
    client_options.app_name = Some("shop".to_string());
    client_options.max_pool_size = Some(5);
    client_options.min_pool_size = Some(1);
    client_options.connect_timeout = Some(Duration::from_secs(5));
    client_options.server_selection_timeout = Some(Duration::from_secs(10));
    client_options.server_api = Some(ServerApi::builder().version(ServerApiVersion::V1).build());
    client_options.retry_writes = Some(true);
    client_options.command_event_handler = Some(EventHandler::callback(move |event| {
        if let CommandEvent::Started(CommandStartedEvent { command_name, .. }) = event {
            assert!(!command_name.is_empty());
            commands.fetch_add(1, Ordering::Relaxed);
        }
    }));
    client_options.cmap_event_handler = Some(EventHandler::async_callback(|event| {
        let seen: BoxFuture<'static, ()> = Box::pin(async move {
            if let CmapEvent::ConnectionCreated(created) = event {
                assert!(created.connection_id > 0);
            }
        });
        seen
    }));
    let client = Client::with_options(client_options)?;
    client.warm_connection_pool().await;
    client
        .database("admin")
        .run_command(doc! { "ping": 1 })
        .await?;
    Ok(client)
}

impl Shop {
    async fn open(client: &Client) -> MongoResult<Self> {
        let db = client.database_with_options(
            "shop",
            DatabaseOptions::builder()
                .write_concern(WriteConcern::builder().w(Acknowledgment::Nodes(1)).build())
                .build(),
        );
        let options = CollectionOptions::builder()
            .read_concern(ReadConcern::local())
            .selection_criteria(SelectionCriteria::ReadPreference(ReadPreference::Primary))
            .build();
        let products = db.collection_with_options::<Product>("products", options);
        let options = IndexOptions::builder()
            .unique(true)
            .name("by_sku".to_string())
            .build();
        let model = IndexModel::builder()
            .keys(doc! { "sku": 1 })
            .options(options)
            .build();
        let created = products.create_index(model).await?;
        assert_eq!(created.index_name, "by_sku");
        let created = products
            .create_indexes(vec![
                IndexModel::builder()
                    .keys(doc! { "tags": 1, "price": -1 })
                    .build(),
                IndexModel::builder()
                    .keys(doc! { "created_at": 1 })
                    .options(
                        IndexOptions::builder()
                            .expire_after(Duration::from_secs(3600 * 24 * 365))
                            .build(),
                    )
                    .build(),
            ])
            .with_options(
                CreateIndexOptions::builder()
                    .comment(Bson::from("indexes"))
                    .build(),
            )
            .await?;
        assert_eq!(created.index_names, ["tags_1_price_-1", "created_at_1"]);
        Ok(Self { db, products })
    }

    async fn add(&self, product: &Product) -> Result<ObjectId, ShopError> {
        match self.products.insert_one(product).await {
            Ok(InsertOneResult { inserted_id, .. }) => {
                Ok(inserted_id.as_object_id().expect("an object id was made"))
            }
            Err(error) => match *error.kind {
                ErrorKind::Write(WriteFailure::WriteError(WriteError { code: 11000, .. })) => {
                    Err(ShopError::Taken(product.sku.clone()))
                }
                _ => Err(error.into()),
            },
        }
    }

    async fn add_all(&self, products: &[Product]) -> MongoResult<InsertManyResult> {
        let options = InsertManyOptions::builder().ordered(false).build();
        self.products
            .insert_many(products)
            .with_options(options)
            .await
    }

    async fn buy(&self, sku: &str, quantity: i64) -> Result<Product, ShopError> {
        let filter = doc! { "sku": sku, "stock": { "$gte": quantity } };
        let update = doc! { "$inc": { "stock": -quantity } };
        let options = FindOneAndUpdateOptions::builder()
            .return_document(ReturnDocument::After)
            .build();
        let bought = self
            .products
            .find_one_and_update(filter, update)
            .with_options(options)
            .await?;
        bought.ok_or(ShopError::OutOfStock)
    }

    async fn search(&self, tag: Option<&str>, limit: Option<i64>) -> MongoResult<Vec<Product>> {
        let mut filter = Document::new();
        if let Some(tag) = tag {
            filter.insert("tags", tag);
        }
        let cursor: Cursor<Product> = self
            .products
            .find(filter)
            .sort(doc! { "price": 1 })
            .optional(limit, |find, limit| find.limit(limit))
            .batch_size(2)
            .await?;
        cursor.try_collect().await
    }

    async fn totals(&self) -> MongoResult<Vec<TagTotal>> {
        let pipeline = vec![
            doc! { "$unwind": "$tags" },
            doc! { "$group": { "_id": "$tags", "total": { "$sum": "$stock" } } },
            doc! { "$sort": { "_id": 1 } },
        ];
        let mut options = AggregateOptions::default();
        options.allow_disk_use = Some(true);
        options.batch_size = Some(100);
        let mut cursor = self
            .products
            .aggregate(pipeline)
            .with_options(options)
            .with_type::<TagTotal>()
            .await?;
        let mut totals = Vec::new();
        while let Some(total) = cursor.try_next().await? {
            totals.push(total);
        }
        Ok(totals)
    }
}

fn product(sku: &str, price: f64, stock: i64, tags: &[&str]) -> Product {
    Product {
        id: None,
        sku: sku.to_string(),
        price,
        stock,
        tags: tags.iter().map(|tag| tag.to_string()).collect(),
        created_at: Some(DateTime::now()),
    }
}

async fn fill(shop: &Shop) -> Result<(), Box<dyn std::error::Error>> {
    let pen = product("pen", 1.5, 10, &["office", "small"]);
    let id = shop.add(&pen).await?;
    assert!(matches!(shop.add(&pen).await, Err(ShopError::Taken(sku)) if sku == "pen"));
    let more = [
        product("desk", 250.0, 2, &["office"]),
        product("pen", 2.0, 1, &[]),
        product("lamp", 30.0, 4, &["home"]),
    ];
    let error = shop.add_all(&more).await.expect_err("is refused");
    match error.kind.as_ref() {
        ErrorKind::InsertMany(InsertManyError {
            write_errors: Some(errors),
            ..
        }) => {
            assert_eq!(errors.len(), 1);
            assert_eq!((errors[0].index, errors[0].code), (1, 11000));
        }
        other => panic!("{other:?}"),
    }
    assert!(!error.contains_label(RETRYABLE_WRITE_ERROR));
    assert!(error.labels().is_empty());
    let found = shop.products.find_one(doc! { "_id": id }).await?;
    assert_eq!(found.map(|product| product.sku), Some("pen".to_string()));
    Ok(())
}

async fn trade(shop: &Shop) -> Result<(), ShopError> {
    assert_eq!(shop.buy("desk", 2).await?.stock, 0);
    assert!(matches!(
        shop.buy("desk", 1).await,
        Err(ShopError::OutOfStock)
    ));
    let names = |products: Vec<Product>| -> Vec<String> {
        products.into_iter().map(|product| product.sku).collect()
    };
    assert_eq!(
        names(shop.search(None, None).await?),
        ["pen", "lamp", "desk"]
    );
    assert_eq!(names(shop.search(Some("office"), Some(1)).await?), ["pen"]);
    let totals = shop.totals().await?;
    let totals: HashMap<_, _> = totals.into_iter().map(|t| (t.tag, t.total)).collect();
    assert_eq!(totals["office"], 10);
    Ok(())
}

async fn change(shop: &Shop) -> MongoResult<()> {
    let products = &shop.products;
    let UpdateResult {
        matched_count,
        modified_count,
        upserted_id,
        ..
    } = products
        .update_one(doc! { "sku": "pen" }, doc! { "$set": { "price": 1.25 } })
        .await?;
    assert_eq!((matched_count, modified_count, upserted_id), (1, 1, None));
    let pipeline = UpdateModifications::Pipeline(vec![doc! { "$set": { "stock": 7_i64 } }]);
    let options = UpdateOptions::builder()
        .hint(Hint::Name("by_sku".to_string()))
        .build();
    let updated = products
        .update_many(doc! { "sku": { "$in": ["pen", "lamp"] } }, pipeline)
        .with_options(options)
        .await?;
    assert_eq!(updated.matched_count, 2);
    let ink = product("ink", 4.0, 3, &["office"]);
    let replaced = products
        .replace_one(doc! { "sku": "ink" }, &ink)
        .with_options(ReplaceOptions::builder().upsert(true).build())
        .await?;
    assert!(replaced.upserted_id.is_some());
    let strength = Collation::builder()
        .locale("en")
        .strength(CollationStrength::Secondary)
        .build();
    let count = products
        .count_documents(doc! { "sku": "INK" })
        .with_options(CountOptions::builder().collation(strength.clone()).build())
        .await?;
    assert_eq!(count, 1);
    assert_eq!(products.estimated_document_count().await?, 4);
    let tags = products
        .distinct("tags", doc! { "stock": { "$gt": 0 } })
        .with_options(
            DistinctOptions::builder()
                .max_time(Duration::from_secs(5))
                .build(),
        )
        .await?;
    assert_eq!(
        tags,
        vec![Bson::from("home"), "office".into(), "small".into()]
    );
    let options = DeleteOptions::builder().collation(strength).build();
    let DeleteResult { deleted_count, .. } = products
        .delete_many(doc! { "sku": "LAMP" })
        .with_options(options)
        .await?;
    assert_eq!(deleted_count, 1);
    assert_eq!(
        products
            .delete_one(doc! { "sku": "none" })
            .await?
            .deleted_count,
        0
    );
    let gone = products.find_one_and_delete(doc! { "sku": "ink" }).await?;
    assert_eq!(gone.map(|product| product.price), Some(4.0));
    Ok(())
}

async fn walk(shop: &Shop) -> MongoResult<()> {
    let mut options = FindOptions::default();
    options.limit = Some(10);
    options.projection = Some(doc! { "sku": 1, "_id": 0 });
    options.cursor_type = Some(CursorType::NonTailable);
    let raw: Collection<RawDocumentBuf> = shop.products.clone_with_type();
    let mut cursor = raw.find(doc! {}).with_options(options).await?;
    let mut seen = Vec::new();
    while cursor.advance().await? {
        assert!(cursor.current().get_str("sku").is_ok());
        let document: RawDocumentBuf = cursor.deserialize_current()?;
        seen.push(document.get_str("sku").expect("is text").to_string());
    }
    assert!(!cursor.has_next());
    assert_eq!(seen.len(), 2);
    let borrowed = shop.products.clone_with_type::<Borrowed<'static>>();
    let mut cursor = borrowed.find(doc! { "sku": "pen" }).await?;
    assert!(cursor.advance().await?);
    let document: Borrowed<'_> = cursor.deserialize_current()?;
    assert_eq!(document.sku, "pen");
    let options = FindOneOptions::builder()
        .sort(doc! { "price": -1 })
        .skip(1)
        .build();
    let cheaper = shop
        .products
        .find_one(doc! {})
        .with_options(options)
        .await?;
    assert_eq!(cheaper.expect("there are two").sku, "pen");
    let every = shop.products.find(doc! {}).await?;
    let skus: Vec<_> = every.map(|product| product.map(|p| p.sku)).collect().await;
    assert!(skus.iter().all(Result::is_ok));
    Ok(())
}

async fn administer(client: &Client, db: &Database) -> MongoResult<()> {
    let sensor = TimeseriesOptions::builder()
        .time_field("at".to_string())
        .meta_field(Some("sensor".to_string()))
        .granularity(Some(TimeseriesGranularity::Seconds))
        .build();
    db.create_collection("climate")
        .timeseries(sensor)
        .expire_after_seconds(Duration::from_secs(3600))
        .await?;
    let options = CreateCollectionOptions::builder()
        .capped(true)
        .size(4096)
        .validator(doc! { "line": { "$type": "string" } })
        .validation_action(ValidationAction::Error)
        .validation_level(ValidationLevel::Strict)
        .build();
    db.create_collection("log").with_options(options).await?;
    let log = db.collection::<Document>("log");
    let error = log
        .insert_one(doc! { "line": 1 })
        .await
        .expect_err("is refused");
    match &*error.kind {
        ErrorKind::Write(WriteFailure::WriteError(write)) => {
            assert_eq!(write.code, 121);
            assert!(write.details.is_some());
        }
        other => panic!("{other:?}"),
    }
    let mut names = db.list_collection_names().await?;
    names.retain(|name| !name.starts_with("system."));
    names.sort();
    assert_eq!(names, ["climate", "log", "products"]);
    let options = ListCollectionsOptions::builder()
        .filter(doc! { "name": "climate" })
        .build();
    let collections: Vec<CollectionSpecification> = db
        .list_collections()
        .with_options(options)
        .await?
        .try_collect()
        .await?;
    assert!(matches!(
        collections[0].collection_type,
        CollectionType::Timeseries
    ));
    let databases = client.list_databases().await?;
    assert!(databases.iter().any(|database| database.name == "shop"));
    assert!(
        client
            .list_database_names()
            .await?
            .contains(&"shop".to_string())
    );
    let stats = db.run_command(doc! { "dbStats": 1 }).await?;
    assert_eq!(stats.get_str("db").expect("is text"), "shop");
    let find = doc! { "find": "products", "filter": {}, "batchSize": 1 };
    let found: Vec<Document> = db.run_cursor_command(find).await?.try_collect().await?;
    assert_eq!(found.len(), 2);
    match *db
        .run_command(doc! { "nonsense": 1 })
        .await
        .expect_err("is refused")
        .kind
    {
        ErrorKind::Command(ref command) => assert_eq!(command.code_name, "CommandNotFound"),
        ref other => panic!("{other:?}"),
    }
    Ok(())
}

async fn picture(db: &Database) -> Result<(), Box<dyn std::error::Error>> {
    let options = GridFsBucketOptions::builder()
        .bucket_name("pictures".to_string())
        .chunk_size_bytes(Some(4))
        .build();
    let bucket = db.gridfs_bucket(options);
    let mut upload = bucket
        .open_upload_stream("pen.png")
        .metadata(doc! { "sku": "pen" })
        .await?;
    let id = upload.id().clone();
    upload.write_all(b"ten bytes.").await?;
    upload.close().await?;
    let mut download = bucket.open_download_stream(id.clone()).await?;
    let mut bytes = Vec::new();
    download.read_to_end(&mut bytes).await?;
    assert_eq!(bytes, b"ten bytes.");
    bucket.rename(id.clone(), "pencil.png").await?;
    let mut files = bucket.find(doc! { "metadata.sku": "pen" }).await?;
    while let Some(FilesCollectionDocument {
        filename, length, ..
    }) = files.try_next().await?
    {
        assert_eq!((filename.as_deref(), length), (Some("pencil.png"), 10));
    }
    bucket.delete(id.clone()).await?;
    let Err(error) = bucket.open_download_stream(id).await else {
        panic!("the file is gone");
    };
    assert!(matches!(
        *error.kind,
        ErrorKind::GridFs(GridFsErrorKind::FileNotFound {
            identifier: GridFsFileIdentifier::Id(_),
            ..
        })
    ));
    bucket.drop().await?;
    Ok(())
}

async fn stock_up(client: &Client, shop: &Shop) -> MongoResult<()> {
    let products = shop.products.namespace();
    let models = vec![
        WriteModel::from(
            shop.products
                .insert_one_model(product("bulb", 2.0, 5, &[]))?,
        ),
        WriteModel::UpdateMany(
            UpdateManyModel::builder()
                .namespace(products.clone())
                .filter(doc! { "stock": { "$lt": 10 } })
                .update(doc! { "$inc": { "stock": 10 } })
                .build(),
        ),
        WriteModel::DeleteOne(
            DeleteOneModel::builder()
                .namespace(products)
                .filter(doc! { "sku": "bulb" })
                .build(),
        ),
    ];
    match client
        .bulk_write(models)
        .ordered(true)
        .verbose_results()
        .await
    {
        Ok(result) => assert_eq!(result.summary.inserted_count, 1),
        // The servers at hand may be older than 8.0.
        Err(error) => assert!(matches!(*error.kind, ErrorKind::IncompatibleServer { .. })),
    }
    let mut batches = shop.products.find(doc! {}).batch_size(1).batch().await?;
    while let Some(batch) = batches.try_next().await? {
        assert!(batch.doc_slices()?.into_iter().count() <= 1);
    }
    Ok(())
}

async fn leave(shop: Shop, client: Client) -> MongoResult<()> {
    let mut names = shop.products.list_index_names().await?;
    names.sort();
    assert_eq!(names, ["_id_", "by_sku", "created_at_1", "tags_1_price_-1"]);
    let indexes: Vec<IndexModel> = shop.products.list_indexes().await?.try_collect().await?;
    let unique = indexes.iter().filter(|index| {
        index
            .options
            .as_ref()
            .and_then(|options| options.unique)
            .unwrap_or(false)
    });
    assert_eq!(unique.count(), 1);
    shop.products.drop_index("by_sku").await?;
    shop.products.drop_indexes().await?;
    assert_eq!(
        shop.products.namespace(),
        Namespace::new("shop", "products")
    );
    shop.products.drop().await?;
    shop.db.drop().await?;
    drop(shop);
    client.shutdown().await;
    Ok(())
}

#[tokio::test]
async fn a_program_of_the_peer_works_with_the_name_changed() {
    let servers =
        tokio::task::spawn_blocking(|| motorcade_testserver::Deployment::standalone().start());
    let servers = servers.await.unwrap().unwrap();
    let commands = Arc::new(AtomicUsize::new(0));
    let client = connect(&servers.uri(), Arc::clone(&commands))
        .await
        .unwrap();
    let shop = Shop::open(&client).await.unwrap();
    fill(&shop).await.unwrap();
    trade(&shop).await.unwrap();
    change(&shop).await.unwrap();
    walk(&shop).await.unwrap();
    administer(&client, &shop.db).await.unwrap();
    picture(&shop.db).await.unwrap();
    stock_up(&client, &shop).await.unwrap();
    leave(shop, client).await.unwrap();
    assert!(commands.load(Ordering::Relaxed) > 20);
}

/// What only has to compile: options for deployments that no test starts.
#[test]
fn options_of_the_peer_are_there() {
    let mut options = ClientOptions::builder()
        .hosts(vec![ServerAddress::Tcp {
            host: "db.example.com".to_string(),
            port: Some(27018),
        }])
        .repl_set_name("rs0".to_string())
        .credential(
            Credential::builder()
                .username("shop".to_string())
                .password("secret".to_string())
                .source(Some("admin".to_string()))
                .build(),
        )
        .tls(Tls::Enabled(
            TlsOptions::builder()
                .allow_invalid_certificates(true)
                .build(),
        ))
        .selection_criteria(SelectionCriteria::from(
            ReadPreference::SecondaryPreferred {
                options: Some(
                    ReadPreferenceOptions::builder()
                        .max_staleness(Duration::from_secs(120))
                        .build(),
                ),
            },
        ))
        .read_concern(ReadConcern::from(ReadConcernLevel::Majority))
        .write_concern(WriteConcern::majority())
        .heartbeat_freq(Duration::from_secs(20))
        .build();
    options.default_database = Some("shop".to_string());
    assert_eq!(options.hosts[0].to_string(), "db.example.com:27018");
    assert_eq!(options, options.clone());
    let options = FindOptions::builder()
        .sort(doc! { "price": 1 })
        .max_time(Duration::from_millis(5))
        .hint(Hint::Name("by_sku".to_string()))
        .build();
    let written = bson::serialize_to_document(&options).unwrap();
    let wanted = doc! { "hint": "by_sku", "maxTimeMS": 5_i64, "sort": { "price": 1 } };
    assert_eq!(written, wanted);
    let read: FindOptions =
        bson::deserialize_from_document(doc! { "limit": 5, "batchSize": 2 }).unwrap();
    assert_eq!((read.limit, read.batch_size), (Some(5), Some(2)));
    let options = ListIndexesOptions::builder()
        .max_time(Duration::from_millis(5))
        .batch_size(2)
        .build();
    let written = bson::serialize_to_document(&options).unwrap();
    assert_eq!(written, doc! { "maxTimeMS": 5_i64, "batchSize": 2_i64 });
    let error = Error::custom("mine");
    assert_eq!(error.get_custom::<&str>(), Some(&"mine"));
    let io: Error = std::io::Error::other("lost").into();
    assert!(matches!(*io.kind, ErrorKind::Io(_)));
}
